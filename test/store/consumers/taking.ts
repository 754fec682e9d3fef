import type { StoredEvent } from '../../../src/model/events.js';
import type { Consumer } from '../../../src/store/consumers/consumer.js';

/** Takes the next `count` events of a consumer without ending its iteration. */
export async function take(consumer: Consumer, count: number): Promise<StoredEvent[]> {
  const events = consumer[Symbol.asyncIterator]();
  const taken: StoredEvent[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

/** Takes and acknowledges the next `count` events of a consumer, one after another; returns their seqs. */
export async function handle(consumer: Consumer, count: number): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < count) {
    const [event] = await take(consumer, 1);
    if (event === undefined) break;
    await consumer.ack(event);
    seqs.push(event.seq);
  }
  return seqs;
}

/** The seqs of events. */
export function seqsOf(events: readonly StoredEvent[]): number[] {
  return events.map(({ seq }) => seq);
}
