import { type EventStore, openStore } from '../../../src/index.js';
import { scaled, timeOf } from '../rounds.js';
import { loadLibrary } from './load-library.js';

/*
 * Opens the store in the given directory for writing and prints the milliseconds by wall and
 * processor time, code already loaded. Nothing is cached yet for the next open.
 */

await loadLibrary();
let store: EventStore | undefined;
const seconds = await timeOf(async () => {
  store = await openStore(process.argv[2] as string, { layers: 'none', actor: 'bench', snapshotEvery: 0 });
});
await store?.close();
console.log(JSON.stringify({ firstOpenMs: scaled(seconds, 1_000) }));
