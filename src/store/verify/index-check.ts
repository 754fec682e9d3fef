import { keyAt, seqOfKey } from '../../log/keys.js';
import { decodeRecord } from '../../log/record.js';
import { type IndexRow, seqsOfRow, subjectPrefix, subjectRows } from '../../log/subject-index.js';
import { bytesToHex } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import { nodeSha256 } from '../files/node-hash.js';
import { groupOfKey, PairSums } from './pair-sums.js';
import type { SeqRanges } from './seq-ranges.js';
import type { Reading, VerifySource } from './verify-source.js';

/** Pairs that are compared one by one at a time: what that many take in memory is some tens of megabytes. */
const MOST_PAIRS = 200_000;
/** Bytes of a key before its seq. */
const PREFIX_BYTES = 10;

/** What the index says too little and too much of one subject. */
interface SubjectFault {
  readonly name: string;
  readonly missing: number[];
  readonly superfluous: number[];
}

/** Gives each pair of a subject and an event that rows of the index hold, as the key that a row of it alone would have. */
function* pairsOf(rows: Iterable<IndexRow>): Generator<Uint8Array> {
  for (const [key, value] of rows) {
    const prefix = key.subarray(0, PREFIX_BYTES);
    for (const seq of seqsOfRow(key, value)) yield keyAt(prefix, seq);
  }
}

/**
 * The subject index against that of the events. Rows group the events of one batch, which nobody remembers, so it is the pairs of subject
 * and event that are compared: as sums first, and one by one where these differ.
 */
export class IndexCheck {
  readonly #source: VerifySource;
  readonly #reading: Reading;
  readonly #expected = new PairSums();
  /** Prefix of each damaged row, in hex, and its seq: what it said is not missing beside. */
  readonly #damaged = new Map<string, number>();

  constructor(source: VerifySource, reading: Reading) {
    this.#source = source;
    this.#reading = reading;
  }

  /** Adds events that the index must have. */
  add(events: readonly StoredEvent[]): void {
    for (const pair of pairsOf(subjectRows(events, nodeSha256))) this.#expected.add(pair);
  }

  /** Compares the rows. `lost` are events that were not added, of which nobody knows what they are about. */
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
        // Rows that were made again after a crash may say a thing twice.
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
    // What is wrong with the records was said when they were read first.
    const again: Reading = { ...this.#reading, report: () => undefined };
    for await (const { seq, record } of this.#source.records(again)) {
      if (lost.has(seq)) continue;
      for (const [name, subject] of namedSubjects(decodeRecord(record))) {
        const pair = keyAt(subjectPrefix(subject, nodeSha256), seq);
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

/** Puts groups together as long as their pairs are not too many. */
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

/** What is known of a subject from its key: the kind, and where its hash begins. */
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
