import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { imageConfig } from '../support/image-configs.js';
import { openTestStore } from '../support/test-store.js';
import { runExample } from './run-example.js';

const urlOf = (path: string): string => new URL(`../../${path}`, import.meta.url).href;

/** Moves tags beside the projection, saves its state now and then, and prints each acknowledged event. */
const WRITER = `
  import { openStore } from ${JSON.stringify(urlOf('src/index.js'))};
  import { tagMoves } from ${JSON.stringify(urlOf('scripts/examples/recovery.js'))};
  const store = await openStore(process.argv[1]);
  const live = await store.project(tagMoves);
  const images = [...store.map().keys()];
  for (let at = 0; ; at++) {
    await store.tag({ source: images[at % 2], target: 'shop/app:' + (at % 3) });
    if (at % 40 === 20) await store.snapshot();
    console.log(live.seq);
  }`;

test('a projection catches up after kill -9, from its saved state, with all that was acknowledged', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b']) await store.create(imageConfig(name));
  await store.close();
  for (const lines of [3, 30]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, store.directory], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    let acknowledged = 0;
    let count = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      count += 1;
      if (count === lines) child.kill('SIGKILL');
    }
    t.deepEqual(await exited, [null, 'SIGKILL']);
    const run = await runExample('recovery', [store.directory]);
    t.deepEqual([run.code, run.stderr], [0, '']);
    const [, seq, head] = /^caught up to event (\d+) of (\d+)$/.exec(run.lines[0] ?? '') ?? [];
    t.is(seq, head);
    t.true(Number(seq) >= acknowledged, `${seq} of ${acknowledged}`);
    t.deepEqual(run.lines.slice(1), await movesIn(store.directory));
  }
});

/** What the example prints, from the log alone. */
async function movesIn(directory: string): Promise<string[]> {
  await using store = await openStore(directory, { readOnly: true });
  const moves = new Map<string, number>();
  for await (const event of store.log.read({ filter: { type: 'ReferenceSet' } })) {
    if (event.type === 'ReferenceSet') moves.set(event.reference, (moves.get(event.reference) ?? 0) + 1);
  }
  if (moves.size === 0) throw new Error('no tag was set');
  return [...moves].sort().map(([reference, count]) => `${reference} was set ${count} times`);
}
