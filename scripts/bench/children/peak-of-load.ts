import { existsSync, readFileSync } from 'node:fs';
import { openStore } from '../../../src/index.js';

/* Loads an archive into a new store: takes the directory and the archive's path, prints the peak of its memory. */

const [directory, archive] = process.argv.slice(2) as [string, string];
const store = await openStore(directory);
const { layersAdded } = await store.load(archive);
await store.close();
console.log(JSON.stringify({ peakBytes: peakKib() * 1_024, layersAdded }));

// On Linux a child's maxRSS begins at its parent's; the high-water mark of its own memory does not.
function peakKib(): number {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const mark = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return mark === undefined ? process.resourceUsage().maxRSS : Number(mark);
}
