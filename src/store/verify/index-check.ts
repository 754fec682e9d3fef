import { randomBytes } from 'node:crypto';
import { isStoreError, thrownText } from '../../errors.js';
import { readKeptFilter } from '../consumers/kept-filter.js';
import { keyAt, parsePosition, seqOfKey } from '../../log/rows.js';
import type { Reading, VerifySource } from './verify-source.js';
import { decodeRecord } from '../../log/record.js';
import { type IndexRow, seqsOfRow, subjectPrefix } from '../../log/subject-index.js';
import {
  bytesToHex,
  type ChainId,
  type Digest,
  digestFromHash,
  HASH_BYTES,
  hashWord,
  type ImageId,
} from '../../model/digest.js';
import { factsOf } from '../../model/event-table.js';
import type { StoredEvent } from '../../model/events.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import type { SeqRanges } from './tree-check.js';

/** Groups of subjects summed separately, which narrow down the search for a difference. */
const GROUPS = 4_096;
/** 32-bit words of a pair: kind and hash of the subject, and seq. */
const WORDS_PER_PAIR = 5;
const TWO_POW_32 = 2 ** 32;

/** What the prefix of a key says of its subject: its kind, and 64 bits of its hash. */
interface SubjectWords {
  readonly kind: number;
  readonly high: number;
  readonly low: number;
}

/**
 * A set of pairs of a subject and an event, as sums of their hashes: some kilobytes for any number
 * of pairs, in any order. Two different sets collide with probability 2^-64; the hash is randomized
 * per process, so nobody can prepare such sets.
 */
class PairSums {
  readonly #low = new Uint32Array(GROUPS);
  readonly #high = new Uint32Array(GROUPS);
  readonly #counts = new Float64Array(GROUPS);

  add({ kind, high, low }: SubjectWords, seq: number): void {
    const group = groupOf(high);
    this.#low[group] = (this.#low[group] as number) + hashed(LOW_SALT, kind, high, low, seq);
    this.#high[group] = (this.#high[group] as number) + hashed(HIGH_SALT, kind, high, low, seq);
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
function groupOf(high: number): number {
  return (high >>> 16) % GROUPS;
}

const LOW_SALT = newSalt();
const HIGH_SALT = newSalt();

function newSalt(): Uint32Array {
  const bytes = new Uint8Array(randomBytes(4 * (WORDS_PER_PAIR + 1)));
  return new Uint32Array(bytes.buffer);
}

function hashed(salt: Uint32Array, kind: number, high: number, low: number, seq: number): number {
  let hash = mixed(salt[WORDS_PER_PAIR] as number, kind ^ (salt[0] as number));
  hash = mixed(hash, high ^ (salt[1] as number));
  hash = mixed(hash, low ^ (salt[2] as number));
  hash = mixed(hash, seq ^ (salt[3] as number));
  return mixed(hash, (seq / TWO_POW_32) ^ (salt[4] as number)) >>> 0;
}

function mixed(before: number, word: number): number {
  let hash = Math.imul(before ^ word, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
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
    const subjects = new EventSubjects();
    for (const event of events) for (const words of subjects.of(event)) this.#expected.add(words, event.seq);
  }

  /** Compares the rows. `lost` are events that were not added and whose subjects are unknown. */
  async finish(lost: SeqRanges, onLooked: (rows: number) => void): Promise<void> {
    const found = new PairSums();
    let rows = 0;
    for await (const page of this.#pages()) {
      for (const row of page) {
        const words = wordsOfKey(row[0]);
        for (const seq of this.#seqsOfRow(row, true)) if (!lost.has(seq)) found.add(words, seq);
      }
      rows += page.length;
      onLooked(rows);
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
    for await (const page of this.#pages()) {
      for (const row of page) {
        if (!groups.has(groupOf(wordsOfKey(row[0]).high))) continue;
        for (const seq of this.#seqsOfRow(row, false)) {
          const pair = keyAt(row[0].subarray(0, PREFIX_BYTES), seq);
          const text = bytesToHex(pair);
          // Rows rewritten after a crash may repeat a pair.
          if (missing.delete(text)) seen.add(text);
          else if (!seen.has(text) && !lost.has(seq)) faultOf(pair).superfluous.push(seq);
        }
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
    for await (const page of this.#source.records(again)) {
      for (const { seq, record } of page) {
        if (lost.has(seq)) continue;
        for (const subject of subjectsIn(decodeRecord(record))) {
          const pair = keyAt(subjectPrefix(subject), seq);
          if (groups.has(groupOf(wordsOfKey(pair).high)))
            expected.set(bytesToHex(pair), { pair, name: nameOf(subject) });
        }
      }
    }
    return expected;
  }

  async *#pages(): AsyncGenerator<readonly IndexRow[]> {
    if (this.#source.indexRows !== undefined) yield* this.#source.indexRows(this.#reading);
  }

  #seqsOfRow([key, value]: IndexRow, isSaid: boolean): readonly number[] {
    try {
      return seqsOfRow(key, value);
    } catch (error) {
      const seq = seqOfKey(key);
      this.#damaged.set(prefixHex(key), seq);
      const message = thrownText(error);
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

function subjectsIn(event: StoredEvent): Subject[] {
  const { images, references, chains, actor } = subjectsOf(event);
  return [
    ...images.map((image) => ({ image })),
    ...references.map((reference) => ({ reference })),
    ...chains.map((chainId) => ({ chainId })),
    { actor },
  ];
}

/** Reads what the first bytes of a row's key say. */
function wordsOfKey(key: Uint8Array): SubjectWords {
  return { kind: key[1] ?? 0, high: wordAt(key, 2), low: wordAt(key, 6) };
}

function wordAt(key: Uint8Array, at: number): number {
  return ((key[at] ?? 0) << 24) | ((key[at + 1] ?? 0) << 16) | ((key[at + 2] ?? 0) << 8) | (key[at + 3] ?? 0);
}

/** Kinds as the index writes them. */
const NO_DIGEST = digestFromHash(new Uint8Array(HASH_BYTES)) as ImageId & ChainId;
const IMAGE = wordsOfKey(subjectPrefix({ image: NO_DIGEST })).kind;
const CHAIN = wordsOfKey(subjectPrefix({ chainId: NO_DIGEST })).kind;

/** The subjects of events as words, each once per event: names may collide. */
class EventSubjects {
  readonly #actors = new Map<string, SubjectWords>();
  #found: SubjectWords[] = [];

  /** Returns the subjects of `event`, until the next call. */
  of(event: StoredEvent): readonly SubjectWords[] {
    const { images, references, chains } = factsOf(event);
    this.#found = [];
    for (const image of images(event)) if (image !== undefined) this.#add(wordsOfDigest(IMAGE, image));
    for (const reference of references(event)) this.#add(wordsOfKey(subjectPrefix({ reference })));
    for (const chain of chains(event)) if (chain !== undefined) this.#add(wordsOfDigest(CHAIN, chain));
    this.#add(this.#wordsOfActor(event.actor));
    return this.#found;
  }

  #add(words: SubjectWords): void {
    const { kind, high, low } = words;
    for (const other of this.#found) if (other.low === low && other.high === high && other.kind === kind) return;
    this.#found.push(words);
  }

  // Most events of a tile have one actor.
  #wordsOfActor(actor: string): SubjectWords {
    const known = this.#actors.get(actor) ?? wordsOfKey(subjectPrefix({ actor }));
    this.#actors.set(actor, known);
    return known;
  }
}

function wordsOfDigest(kind: number, digest: Digest): SubjectWords {
  return { kind, high: hashWord(digest, 0), low: hashWord(digest, 1) };
}

function nameOf(subject: Subject): string {
  if ('image' in subject) return `image ${subject.image}`;
  if ('reference' in subject) return `reference ${subject.reference}`;
  return 'chainId' in subject ? `chain ${subject.chainId}` : `actor ${subject.actor}`;
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
