import { openStore } from '../../../src/store/open/open-store.js';
import { inChunks } from '../../tar/build-tar.js';
import { tellParent } from '../child.js';
import { numberedArchive } from '../numbered-archive.js';

/* Loads numbered archives one after another, from the number it is given, and tells every chunk and every load, until it is killed. */

const [directory, first, count] = process.argv.slice(2) as [string, string, string];
const archives = await Promise.all(
  Array.from({ length: Number(count) }, (_, at) => numberedArchive(Number(first) + at)),
);
const store = await openStore(directory);
for (const { number, bytes } of archives) {
  await store.load(inChunks(bytes, 100_000), { onProgress: () => void tellParent({ type: 'chunk' }) });
  await tellParent({ type: 'loaded', number });
}
await store.close();
process.disconnect();
