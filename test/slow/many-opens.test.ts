import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../src/store/open/open-store.js';
import { imageConfig } from '../support/image-configs.js';
import { testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startChild } from './child.js';

const SCRIPT = new URL('./children/open-many.js', import.meta.url);
/**
 * 10,000 by hand: `MANY_OPENS=10000 npx ava --config ava.slow.config.js
 * dist/test/slow/many-opens.test.js`.
 */
const OPENS = Number(process.env.MANY_OPENS ?? 300);
/** Until then the heap grows by what V8 compiles and learns. */
const WARM_UP = 300;
/**
 * What V8 still learns after that; one store that is kept has a hundred times as much for each
 * open.
 */
const MOST_GROWN_BYTES = 1024 * 1024;

type Kept = Readonly<Record<'heapBytes' | 'stores' | 'descriptors' | 'threads' | 'listeners' | 'timers', number>>;

const test = testOrSkip(existsSync('/proc/self/fd') ? undefined : 'there is no /proc');

test('a store that is opened and closed again and again leaves nothing in the process', async (t) => {
  t.timeout(3_600_000);
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { actor: 'tester' });
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  await store.close();
  const child = startChild<{ before: Kept; after: Kept }>(SCRIPT, [directory, `${OPENS}`, `${WARM_UP}`]);
  t.is(await child.ended, 0);
  const [told] = child.messages;
  if (told === undefined) throw new Error('the child told nothing');
  const { before, after } = told;
  t.log(`${OPENS} opens: the heap went from ${before.heapBytes} to ${after.heapBytes} bytes`);
  t.true(after.heapBytes - before.heapBytes < MOST_GROWN_BYTES, `${after.heapBytes - before.heapBytes} bytes more`);
  // The last one may still be on the stack.
  t.true(after.stores <= 1, `${after.stores} stores are still held`);
  const { heapBytes: _, stores: __, ...counts } = before;
  t.like(after, counts);
});
