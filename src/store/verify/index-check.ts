import { randomBytes } from 'node:crypto';
import { isStoreError } from '../../errors.js';
import { readKeptFilter } from '../consumers/kept-filter.js';
import { keyAt, parsePosition, seqOfKey } from '../../log/rows.js';
import type { Reading, VerifySource } from './verify-source.js';
import { decodeRecord } from '../../log/record.js';
import { type IndexRow, seqsOfRow, subjectPrefix, subjectRows } from '../../log/subject-index.js';
import { bytesToHex } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import type { SeqRanges } from './tree-check.js';

/** Groups of subjects summed separately, which narrow down the search for a difference. */
const GROUPS = 4_096;
/** 32-bit words of a pair: the key of an index row, prefix and seq. */
const WORDS_PER_PAIR = 5;

/**
 * A set of pairs of a subject and an event, as sums of their hashes: some kilobytes for any number
 * of pairs, in any order. Two different sets collide with probability 2^-64; the hash is randomized
 * per process, so nobody can prepare such sets.
 */
class PairSums {
  readonly #low = new Uint32Array(GROUPS);
  readonly #high = new Uint32Array(GROUPS);
  readonly #counts = new Float64Array(GROUPS);

  add(key: Uint8Array): void {
    const group = groupOfKey(key);
    this.#low[group] = (this.#low[group] as number) + hashed(key, LOW_SALT);
    this.#high[group] = (this.#high[group] as number) + hashed(key, HIGH_SALT);
    this.#counts[group] = (this.#counts[group] as number) + 1;
  }

  /** Returns the groups that differ from `other`, with the number of pairs in both. */
  differing(other: PairSums): { readonly group: number; readonly pairs: number }[] {
    const differing: { group: number; pairs: number }[] = [];
    for (let group = 0; group < GROUPS; group++) {
      const isSame =
        this.#low[group] === other.#low[group] &&
        this.#high[group] === other.#high[group] &&
        this.#counts[group] === other.#counts[group];
      if (!isSame) differing.push({ group, pairs: (this.#counts[group] ?? 0) + (other.#counts[group] ?? 0) });
    }
    return differing;
  }
}

/** Groups pairs by subject. */
function groupOfKey(key: Uint8Array): number {
  // After the kinds of row and of subject, these are bytes of a hash.
  return (((key[2] ?? 0) << 8) | (key[3] ?? 0)) % GROUPS;
}

const LOW_SALT = newSalt();
const HIGH_SALT = newSalt();

function newSalt(): Uint32Array {
  const bytes = new Uint8Array(randomBytes(4 * (WORDS_PER_PAIR + 1)));
  return new Uint32Array(bytes.buffer);
}

function hashed(key: Uint8Array, salt: Uint32Array): number {
  let hash = salt[WORDS_PER_PAIR] as number;
  for (let at = 0; at < key.length; at += 4) {
    const word = ((key[at] ?? 0) << 24) | ((key[at + 1] ?? 0) << 16) | ((key[at + 2] ?? 0) << 8) | (key[at + 3] ?? 0);
    hash = Math.imul(hash ^ word ^ (salt[(at >> 2) % WORDS_PER_PAIR] as number), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
    hash ^= hash >>> 13;
  }
  return hash >>> 0;
}

/** Checks that every consumer's position is valid and not beyond the end of the log. */
export async function checkPositions(source: VerifySource, reading: Reading): Promise<void> {
  const { report } = reading;
  for await (const { name, row } of source.positions?.(reading) ?? []) {
    const place = `consumer ${name}`;
    try {
      const { seq, filter } = parsePosition(row);
      readKeptFilter(name, filter);
      if (seq >= 0 && seq <= source.size) continue;
      const message = `the position of the consumer ${name} is ${seq}, and the log ends at ${source.size}`;
      report({ code: 'POSITION_AHEAD', place, message, seq, expected: source.size, found: seq });
    } catch (error) {
      if (!isStoreError(error)) throw error;
      report({ code: 'POSITION_DAMAGED', place, message: error.message });
    }
  }
}

/** Pairs compared one by one at a time: some tens of megabytes of memory. */
const MOST_PAIRS = 200_000;
/** Bytes of a key before its seq. */
const PREFIX_BYTES = 10;

/** Missing and surplus index entries of one subject. */
interface SubjectFault {
  readonly name: string;
  readonly missing: number[];
  readonly superfluous: number[];
}

/** Yields each pair of subject and event in index rows, as the key of a row for that pair. */
function* pairsOf(rows: Iterable<IndexRow>): Generator<Uint8Array> {
  for (const [key, value] of rows) {
    const prefix = key.subarray(0, PREFIX_BYTES);
    for (const seq of seqsOfRow(key, value)) yield keyAt(prefix, seq);
  }
}

/**
 * Checks the subject index against that of the events. Rows group the events of one batch, and
 * batches are not recorded, so pairs of subject and event are compared: first as sums, then one by
 * one where these differ.
 */
export class IndexCheck {
  readonly #source: VerifySource;
  readonly #reading: Reading;
  readonly #expected = new PairSums();
  /** Prefix (hex) and seq of each damaged row: its pairs are not also reported as missing. */
  readonly #damaged = new Map<string, number>();

  constructor(source: VerifySource, reading: Reading) {
    this.#source = source;
    this.#reading = reading;
  }

  /** Adds events that the index must have. */
  add(events: readonly StoredEvent[]): void {
    for (const pair of pairsOf(subjectRows(events))) this.#expected.add(pair);
  }

  /** Compares the rows. `lost` are events that were not added and whose subjects are unknown. */
  async finish(lost: SeqRanges, onLooked: (rows: number) => void): Promise<void> {
    const found = new PairSums();
    let rows = 0;
    for await (const row of this.#rows()) {
      for (const pair of this.#pairsOfRow(row, true)) if (!lost.has(seqOfKey(pair))) found.add(pair);
      onLooked(++rows);
    }
    const differing = this.#expected.differing(found);
    if (rows === 0 && differing.length > 0) {
      this.#reading.report({ code: 'INDEX_MISSING', place: 'index', message: 'the subject index has no row' });
      return;
    }
    for (const groups of portions(differing)) await this.#compare(groups, lost);
  }

  async #compare(groups: ReadonlySet<number>, lost: SeqRanges): Promise<void> {
    const missing = await this.#expectedPairs(groups, lost);
    const names = new Map([...missing.values()].map(({ pair, name }) => [prefixHex(pair), name]));
    const faults = new Map<string, SubjectFault>();
    const faultOf = (pair: Uint8Array): SubjectFault => {
      const prefix = prefixHex(pair);
      const fault = faults.get(prefix) ?? { name: names.get(prefix) ?? nameOfKey(pair), missing: [], superfluous: [] };
      faults.set(prefix, fault);
      return fault;
    };
    const seen = new Set<string>();
    for await (const row of this.#rows()) {
      if (!groups.has(groupOfKey(row[0]))) continue;
      for (const pair of this.#pairsOfRow(row, false)) {
        const text = bytesToHex(pair);
        // Rows rewritten after a crash may repeat a pair.
        if (missing.delete(text)) seen.add(text);
        else if (!seen.has(text) && !lost.has(seqOfKey(pair))) faultOf(pair).superfluous.push(seqOfKey(pair));
      }
    }
    for (const { pair } of missing.values()) {
      if (seqOfKey(pair) <= (this.#damaged.get(prefixHex(pair)) ?? 0)) continue;
      faultOf(pair).missing.push(seqOfKey(pair));
    }
    for (const fault of faults.values()) this.#say(fault);
  }

  async #expectedPairs(
    groups: ReadonlySet<number>,
    lost: SeqRanges,
  ): Promise<Map<string, { readonly pair: Uint8Array; readonly name: string }>> {
    const expected = new Map<string, { pair: Uint8Array; name: string }>();
    // Faults of the records were reported when they were first read.
    const again: Reading = { ...this.#reading, report: () => undefined };
    for await (const { seq, record } of this.#source.records(again)) {
      if (lost.has(seq)) continue;
      for (const [name, subject] of namedSubjects(decodeRecord(record))) {
        const pair = keyAt(subjectPrefix(subject), seq);
        if (groups.has(groupOfKey(pair))) expected.set(bytesToHex(pair), { pair, name });
      }
    }
    return expected;
  }

  async *#rows(): AsyncGenerator<IndexRow> {
    if (this.#source.indexRows !== undefined) yield* this.#source.indexRows(this.#reading);
  }

  #pairsOfRow(row: IndexRow, isSaid: boolean): Uint8Array[] {
    try {
      return [...pairsOf([row])];
    } catch (error) {
      const [key] = row;
      const seq = seqOfKey(key);
      this.#damaged.set(prefixHex(key), seq);
      const message = error instanceof Error ? error.message : String(error);
      if (isSaid) this.#reading.report({ code: 'INDEX_DAMAGED', place: `index ${nameOfKey(key)}`, message, seq });
      return [];
    }
  }

  #say({ name, missing, superfluous }: SubjectFault): void {
    const place = `index ${name}`;
    if (missing.length > 0) {
      const message = `the subject index lacks ${eventsText(missing)} under ${name}`;
      this.#reading.report({ code: 'INDEX_MISSING', place, message, seq: missing[0] });
    }
    if (superfluous.length > 0) {
      const message = `the subject index has ${eventsText(superfluous)} under ${name}, which is not about that`;
      this.#reading.report({ code: 'INDEX_SUPERFLUOUS', place, message, seq: superfluous[0] });
    }
  }
}

/** Combines groups while their pairs are not too many. */
function* portions(groups: readonly { readonly group: number; readonly pairs: number }[]): Generator<Set<number>> {
  let portion = new Set<number>();
  let sum = 0;
  for (const { group, pairs } of groups) {
    if (sum > 0 && sum + pairs > MOST_PAIRS) {
      yield portion;
      portion = new Set();
      sum = 0;
    }
    portion.add(group);
    sum += pairs;
  }
  if (portion.size > 0) yield portion;
}

function namedSubjects(event: StoredEvent): (readonly [name: string, subject: Subject])[] {
  const { images, references, chains, actor } = subjectsOf(event);
  return [
    ...images.map((image) => [`image ${image}`, { image }] as const),
    ...references.map((reference) => [`reference ${reference}`, { reference }] as const),
    ...chains.map((chainId) => [`chain ${chainId}`, { chainId }] as const),
    [`actor ${actor}`, { actor }] as const,
  ];
}

/** Describes a subject by its key: the kind, and the start of its hash. */
function nameOfKey(key: Uint8Array): string {
  const kind = String.fromCharCode(key[1] ?? 0);
  const names: Readonly<Record<string, string>> = { i: 'image', r: 'reference', c: 'chain', a: 'actor' };
  return `${names[kind] ?? 'subject'} ${bytesToHex(key.subarray(2, PREFIX_BYTES))}…`;
}

function prefixHex(key: Uint8Array): string {
  return bytesToHex(key.subarray(0, PREFIX_BYTES));
}

function eventsText(seqs: readonly number[]): string {
  const more = seqs.length > 1 ? ` and ${seqs.length - 1} more` : '';
  return `event ${seqs[0]}${more}`;
}
