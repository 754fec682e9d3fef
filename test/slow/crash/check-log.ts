import { errorKinds } from '../../../src/errors.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { type Failure, recordHash, type Recorded } from './journal.js';

/** What is wrong with the events of a log: some that nobody asked for, out of order, in pieces, lost, or not those that were seen. */
export function wrongLog(events: readonly StoredEvent[], { begun, seen }: Recorded): string[] {
  const wrong: string[] = [];
  const lanes = new Map<string, number>();
  const firsts = new Map<string, number>();
  let next = 1;
  for (const { seq, requestId: by = '', transaction } of events) {
    if (!begun.has(by)) wrong.push(`event ${seq} is of a request that nobody made: ${by}`);
    if ((firsts.get(by) ?? transaction.first) !== transaction.first) wrong.push(`request ${by} is in two transactions`);
    firsts.set(by, transaction.first);
    if (seq !== next) wrong.push(`event ${seq} comes in the place of ${next}`);
    next = seq + 1;
    if (seq === transaction.first)
      wrong.push(...wrongTransaction(events.slice(seq - 1, seq - 1 + transaction.count), by));
    const { lane, number } = laneOf(by);
    if (number < (lanes.get(lane) ?? 0)) wrong.push(`event ${seq} of request ${by} is out of order`);
    lanes.set(lane, number);
  }
  for (const [seq, { hash, by }] of seen) {
    const event = events[seq - 1];
    if (event === undefined) wrong.push(`event ${seq} of request ${by} was seen and is lost`);
    else if (recordHash(event) !== hash) wrong.push(`event ${seq} is not the one that was seen`);
  }
  return wrong;
}

function wrongTransaction(events: readonly StoredEvent[], by: string): string[] {
  const count = events[0]?.transaction.count;
  const own = events.filter(({ requestId }) => requestId === by).length;
  return own === count ? [] : [`request ${by} has ${own} of its ${count} events`];
}

/** Requests are named `round.lane.number`, and those of a lane are made one after another. */
function laneOf(requestId: string): { lane: string; number: number } {
  const end = requestId.lastIndexOf('.');
  return { lane: requestId.slice(0, end), number: Number(requestId.slice(end + 1)) };
}

/** What callers were told that is not so, and errors that they cannot act on. */
export function wrongAnswers(events: readonly StoredEvent[], { done, failed }: Recorded): string[] {
  const found = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const by = event.requestId ?? '';
    found.set(by, [...(found.get(by) ?? []), event]);
  }
  const wrong: string[] = [];
  for (const [by, count] of done) {
    const there = found.get(by)?.length ?? 0;
    if (there !== count) wrong.push(`request ${by} was acknowledged with ${count} events, ${there} are there`);
  }
  for (const [by, failure] of failed) {
    wrong.push(...wrongFailure(failure, found.get(by) ?? []).map((what) => `request ${by} ${what}`));
  }
  return wrong;
}

function wrongFailure({ code, events: tried, survived }: Failure, found: readonly StoredEvent[]): string[] {
  if (!(code in errorKinds) || code === 'INTERNAL') return [`failed without a code to act on: ${code}`];
  if (code === 'OUTCOME_UNKNOWN') {
    if (survived === 0 && found.length > 0) return ['was reported lost, and is there'];
    return survived !== undefined && survived === tried && found.length === 0 ? ['was reported to be there'] : [];
  }
  // An erasure whose event is durable fails when its bytes do not leave the disk: the next open removes them.
  const isErasure = found.some(({ type }) => type === 'ContentErased');
  return found.length > 0 && !isErasure ? [`failed with ${code}, and is there`] : [];
}
