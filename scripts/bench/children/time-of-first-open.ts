import { type EventStore, openStore } from '../../../src/index.js';
import { secondsOf } from '../rounds.js';
import { loadLibrary } from './load-library.js';

/*
 * Opens the store in the given directory for writing and prints the milliseconds, code already
 * loaded. Nothing is cached yet for the next open.
 */

await loadLibrary();
let store: EventStore | undefined;
const seconds = await secondsOf(async () => {
  store = await openStore(process.argv[2] as string, { layers: 'none', actor: 'bench', snapshotEvery: 0 });
});
await store?.close();
console.log(JSON.stringify({ firstOpenMs: 1_000 * seconds }));
