import { StoreError } from '../errors.js';
import { bytesToHex, digestHex, type Digest, hexToBytes, type Sha256 } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { type Subject, subjectsOf } from '../model/subjects.js';
import { keyAt, seqOfKey, SUBJECT_PREFIX } from './keys.js';

/*
 * The index from subjects to events: rows that are written with the events and can be made again from them.
 *
 * A row stands for the events of one batch about one subject, so that an actor who does a thousand things at once costs a few
 * rows. Its key ends with the last of their seqs: the first row at or after a seq holds what comes next.
 * Keys have eight bytes of the subject's hash, for what is read is looked at again: a subject that shares them costs time.
 */

/** Bytes of a subject's hash in a key. */
const SUBJECT_HASH_BYTES = 8;
/** Seqs of one row: a row is read whole, also for one seq of it. */
const MAX_ROW_SEQS = 256;

const utf8 = new TextEncoder();

type SubjectKind = 'image' | 'reference' | 'chain' | 'actor';

const KIND_BYTES: Readonly<Record<SubjectKind, number>> = {
  image: 0x69, // i
  reference: 0x72, // r
  chain: 0x63, // c
  actor: 0x61, // a
};

/** A row of the database. */
export type IndexRow = readonly [key: Uint8Array, value: Uint8Array];

/** Returns the beginning of the keys of a subject's rows. */
export function subjectPrefix(subject: Subject, hash: Sha256): Uint8Array {
  if ('image' in subject) return prefixOf('image', subject.image, hash);
  if ('chainId' in subject) return prefixOf('chain', subject.chainId, hash);
  if ('reference' in subject) return prefixOf('reference', subject.reference, hash);
  return prefixOf('actor', subject.actor, hash);
}

/** Returns the rows of the index for the events of one batch, which are in order. */
export function subjectRows(events: Iterable<StoredEvent>, hash: Sha256): IndexRow[] {
  const seqsOf: Readonly<Record<SubjectKind, Map<string, number[]>>> = {
    image: new Map(),
    reference: new Map(),
    chain: new Map(),
    actor: new Map(),
  };
  for (const event of events) {
    const { images, references, chains, actor } = subjectsOf(event);
    for (const image of images) note(seqsOf.image, image, event.seq);
    for (const reference of references) note(seqsOf.reference, reference, event.seq);
    for (const chain of chains) note(seqsOf.chain, chain, event.seq);
    note(seqsOf.actor, actor, event.seq);
  }
  return (Object.entries(seqsOf) as [SubjectKind, Map<string, number[]>][]).flatMap(([kind, subjects]) =>
    rowsOf(kind, subjects, hash),
  );
}

/** Subjects that share the beginning of a hash share rows: each with its own, one would hide what the other says. */
function rowsOf(kind: SubjectKind, subjects: ReadonlyMap<string, readonly number[]>, hash: Sha256): IndexRow[] {
  const seqsOf = new Map<string, readonly number[]>();
  for (const [subject, seqs] of subjects) {
    const prefix = bytesToHex(prefixOf(kind, subject, hash));
    const others = seqsOf.get(prefix);
    seqsOf.set(prefix, others === undefined ? seqs : merged(others, seqs));
  }
  const rows: IndexRow[] = [];
  for (const [prefix, seqs] of seqsOf) {
    for (let at = 0; at < seqs.length; at += MAX_ROW_SEQS)
      rows.push(formatRow(hexToBytes(prefix), seqs.slice(at, at + MAX_ROW_SEQS)));
  }
  return rows;
}

function merged(seqs: readonly number[], others: readonly number[]): number[] {
  return [...new Set([...seqs, ...others])].sort((a, b) => a - b);
}

/**
 * Returns the seqs of a row, ascending.
 * @throws {StoreError} LOG_CORRUPT when it is no row of the index
 */
export function seqsOfRow(key: Uint8Array, value: Uint8Array): number[] {
  const seqs = [seqOfKey(key)];
  for (let at = 0; at < value.length; ) {
    let distance = 0;
    let factor = 1;
    for (;;) {
      const byte = value[at++];
      if (byte === undefined || factor > Number.MAX_SAFE_INTEGER) throw damagedRow(key);
      distance += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
      factor *= 0x80;
    }
    const seq = (seqs[seqs.length - 1] as number) - distance;
    if (distance === 0 || seq < 1) throw damagedRow(key);
    seqs.push(seq);
  }
  return seqs.reverse();
}

function note(subjects: Map<string, number[]>, subject: string, seq: number): void {
  const seqs = subjects.get(subject);
  if (seqs === undefined) subjects.set(subject, [seq]);
  else seqs.push(seq);
}

function prefixOf(kind: SubjectKind, subject: string, hash: Sha256): Uint8Array {
  const prefix = new Uint8Array(2 + SUBJECT_HASH_BYTES);
  prefix[0] = SUBJECT_PREFIX;
  prefix[1] = KIND_BYTES[kind];
  const isDigest = kind === 'image' || kind === 'chain';
  const bytes = isDigest
    ? hexToBytes(digestHex(subject as Digest).slice(0, 2 * SUBJECT_HASH_BYTES))
    : hash(utf8.encode(subject)).subarray(0, SUBJECT_HASH_BYTES);
  prefix.set(bytes, 2);
  return prefix;
}

/** The last seq is in the key; the value has the distance from each to the one before, as LEB128, the last one first. */
function formatRow(prefix: Uint8Array, seqs: readonly number[]): IndexRow {
  const value: number[] = [];
  for (let at = seqs.length - 1; at > 0; at--) {
    let distance = (seqs[at] as number) - (seqs[at - 1] as number);
    for (; distance >= 0x80; distance = Math.floor(distance / 0x80)) value.push((distance % 0x80) | 0x80);
    value.push(distance);
  }
  return [keyAt(prefix, seqs[seqs.length - 1] as number), Uint8Array.from(value)];
}

function damagedRow(key: Uint8Array): StoreError {
  const seq = seqOfKey(key);
  return new StoreError('LOG_CORRUPT', `a row of the subject index up to seq ${seq} is damaged`, {
    data: { seq, remedy: 'rebuild' },
  });
}
