import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { projectRoot } from '../../support/fixtures.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const run = promisify(execFile);
const index = new URL('../../../src/index.js', import.meta.url).href;

// The timer alone would let the process end.
const program = (waits: string): string => `
  import { openStore } from ${JSON.stringify(index)};
  const store = await openStore(process.argv[1]);
  const id = await store.create(new TextEncoder().encode('{"os":"linux","rootfs":{"type":"layers"}}'));
  setTimeout(() => void store.tag({ source: id, target: 'x:1' }), 100).unref();
  ${waits}
  await store.close();
  console.log('closed');
`;

for (const [title, waits] of [
  ['a consumer', "for await (const { type } of store.consumer('c', { from: 2 })) { console.log(type); break; }"],
  ['a follower', 'for await (const { type } of store.log.follow()) { console.log(type); break; }'],
] as const) {
  test(`${title} that waits for an event keeps its process alive, and a closed store does not`, async (t) => {
    const directory = join(await temporaryDirectory(t), 'store');
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program(waits), directory], {
      cwd: projectRoot,
    });
    t.is(stdout, 'ReferenceSet\nclosed\n');
  });
}
