import { appendFileSync } from 'node:fs';
import { openStore } from '../../../src/store/open/open-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { tellParent } from '../child.js';

/* Creates images in order, 64 at a time, and writes each id that is acknowledged to a file, until it is killed. */

const IN_FLIGHT = 64;
const [directory, round, acknowledged] = process.argv.slice(2) as [string, string, string];
const store = await openStore(directory, { layers: 'none' });
let next = 0;

async function createInTurn(): Promise<never> {
  for (;;) {
    const id = await store.create(imageConfig(`${round} ${next++}`));
    appendFileSync(acknowledged, `${id}\n`);
    void tellParent('created');
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, createInTurn));
