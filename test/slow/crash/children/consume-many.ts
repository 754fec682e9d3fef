import { fsyncSync, openSync, writeSync } from 'node:fs';
import type { StoredEvent } from '../../../../src/model/events.js';
import { openStore } from '../../../../src/store/open/open-store.js';
import { imageConfig } from '../../../support/image-configs.js';
import { tellParent } from '../../child.js';
import { CONSUMER, HANDLED_ACTOR } from '../consumed-events.js';

/*
 * Writes events and consumes every other one, until it is killed. Each event that is handled is written to a file, and each
 * that is known to be acknowledged: `handled 7`, `acknowledged 7`. Events are handled one by one and acknowledged a few at a
 * time.
 */

const WRITERS = 4;
const [directory, round, diary] = process.argv.slice(2) as [string, string, string];
const store = await openStore(directory, { layers: 'none' });
const file = openSync(diary, 'a');
let next = 0;

function note(what: 'handled' | 'acknowledged', events: readonly StoredEvent[]): void {
  writeSync(file, events.map(({ seq }) => `${round} ${what} ${seq}\n`).join(''));
  fsyncSync(file);
}

async function writeInTurn(): Promise<never> {
  for (;;) {
    const actor = next % 2 === 0 ? HANDLED_ACTOR : 'another';
    await store.create(imageConfig(`${round} ${next++}`), { actor });
  }
}

async function consume(): Promise<never> {
  const consumer = store.consumer(CONSUMER, { filter: { actor: HANDLED_ACTOR } });
  const waiting: StoredEvent[] = [];
  for await (const event of consumer) {
    note('handled', [event]);
    void tellParent('handled');
    waiting.push(event);
    if (waiting.length <= event.seq % 4) continue;
    const events = waiting.splice(0);
    await Promise.all(events.map((each) => consumer.ack(each)));
    note('acknowledged', events);
  }
  throw new Error('the consumer ended');
}

await Promise.all([consume(), ...Array.from({ length: WRITERS }, writeInTurn)]);
