import { openLife } from '../inputs/life-log.js';
import { timeOf } from '../rounds.js';
import { loadLibrary } from './load-library.js';

/* Opens the store in the given directory for reading; prints the seconds by wall and
 * processor time (code loaded), and events. */

await loadLibrary();
let events = 0;
let close = async (): Promise<void> => undefined;
const { wall, cpu } = await timeOf(async () => {
  const store = await openLife(process.argv[2] as string);
  events = store.log.head.seq;
  close = () => store.close();
});
await close();
console.log(JSON.stringify({ wall, cpu, events }));
