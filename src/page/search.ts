import { isStoreError } from '../errors.js';
import { MAX_PAGE_DIGESTS } from '../limits.js';
import { hexPrefix } from '../model/digest.js';
import { isPattern, wantedReference } from '../model/reference-pattern.js';
import type { Reading } from './reading.js';

/** Digits of a digest from which on a text is taken for the beginning of one. */
const LEAST_DIGITS = 4;

/** What a text that was searched for stands for. */
export interface Found {
  /** References: those whose name fits, and those that an event below moved. */
  readonly names: ReadonlySet<number>;
  /** Events, in order; undefined for all. */
  readonly seqs: readonly number[] | undefined;
  /** How it was read: `names that fit *:prod`. */
  readonly readAs: readonly string[];
}

/**
 * Reads a text as all that it can be: a name or a part of one, a pattern of names as on the command
 * line, the beginning of a digest, an actor, a request id.
 */
export async function search(reading: Reading, text: string): Promise<Found> {
  const wanted = text.trim();
  const { timeline } = reading;
  const names = namesLike(reading, wanted);
  if (wanted === '') return { names, seqs: undefined, readAs: [] };
  const digests = digestsLike(reading, wanted);
  const actors = timeline.actors.texts.filter((actor) => actor.toLowerCase().includes(wanted.toLowerCase()));
  const requested = await eventsOfRequest(reading, wanted);
  const others = [
    ...digests.map((digest) => timeline.eventsAbout(digest)),
    ...actors.map((actor) => timeline.eventsOfActor(actor)),
    requested,
  ];
  const ofNames = [...names].map((name) => timeline.eventsOfReference(name));
  const counts: readonly (readonly [count: number, text: string])[] = [
    [names.size, isPattern(wanted) ? `names that fit ${wanted}` : `names with ${wanted}`],
    [digests.length, `digests that begin with ${wanted}`],
    [actors.length, `people: ${actors.slice(0, 3).join(', ')}${actors.length > 3 ? ' …' : ''}`],
    [requested.length, `events of the request ${wanted}`],
  ];
  const moved = timeline.namesOf(union(others));
  return {
    names: new Set([...names, ...moved]),
    seqs: union([...others, ...ofNames]),
    readAs: counts.flatMap(([count, what]) => (count === 0 ? [] : [what])),
  };
}

function namesLike({ timeline }: Reading, wanted: string): Set<number> {
  const matches = matcherOf(wanted);
  const names = new Set<number>();
  for (const [row, name] of timeline.names.texts.entries()) if (matches(name)) names.add(row);
  return names;
}

function matcherOf(wanted: string): (reference: string) => boolean {
  if (wanted === '') return () => true;
  if (!isPattern(wanted)) {
    const part = wanted.toLowerCase();
    return (reference) => reference === wanted || shortName(reference).toLowerCase().includes(part);
  }
  try {
    return wantedReference(wanted).matches;
  } catch (error) {
    // A pattern that is still being typed: a bracket is open.
    if (isStoreError(error, 'FILTER_INVALID')) return () => false;
    throw error;
  }
}

/** The name without Docker's own registry: as people write most of them, without parsing each. */
export function shortName(reference: string): string {
  return reference.replace(/^docker\.io\/(?:library\/)?/, '');
}

function digestsLike({ timeline }: Reading, wanted: string): readonly string[] {
  const digits = hexPrefix(wanted);
  if (digits === undefined || digits.length < LEAST_DIGITS) return [];
  const digests = timeline.digestsBeginning(digits, MAX_PAGE_DIGESTS + 1);
  return digests.length > MAX_PAGE_DIGESTS ? [] : digests;
}

async function eventsOfRequest(reading: Reading, wanted: string): Promise<number[]> {
  const seqs: number[] = [];
  for (const seq of reading.timeline.eventsOfRequest(wanted)) {
    if ((await reading.event(seq)).requestId === wanted) seqs.push(seq);
  }
  return seqs;
}

/** Merges lists of events into one without repeats. */
function union(lists: readonly Iterable<number>[]): number[] {
  const all = new Set<number>();
  for (const list of lists) for (const seq of list) all.add(seq);
  return [...all].sort((a, b) => a - b);
}
