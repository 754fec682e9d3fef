import { type EventStore, openStore } from '../../../src/index.js';
import { secondsOf } from '../rounds.js';
import { loadLibrary } from './load-library.js';

/*
 * Opens the store in the directory it is given for writing, and prints the milliseconds that took, the code being loaded: all that an open
 * remembers for the next one is not there yet.
 */

await loadLibrary();
let store: EventStore | undefined;
const seconds = await secondsOf(async () => {
  store = await openStore(process.argv[2] as string, { layers: 'none', actor: 'bench', snapshotEvery: 0 });
});
await store?.close();
console.log(JSON.stringify({ firstOpenMs: 1_000 * seconds }));
