import { StoreError } from '../errors.js';
import { bytesToHex, type Digest, putHex, type Sha256 } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { type Subject, subjectsOf } from '../model/subjects.js';
import { putSeq, SEQ_BYTES, seqOfKey, SUBJECT_PREFIX } from './keys.js';
import { rowBytes } from './row-bytes.js';

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

/** Bytes of a key before its seq. */
const PREFIX_BYTES = 2 + SUBJECT_HASH_BYTES;
const DIGEST_PREFIX_LENGTH = 'sha256:'.length;
/** The value of a row with one seq. */
const NO_DISTANCES = new Uint8Array(0);

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
  const prefix = new Uint8Array(PREFIX_BYTES);
  if ('image' in subject) putPrefix(prefix, 'image', digestName(subject.image));
  else if ('chainId' in subject) putPrefix(prefix, 'chain', digestName(subject.chainId));
  else if ('reference' in subject) putPrefix(prefix, 'reference', textName(subject.reference, hash));
  else putPrefix(prefix, 'actor', textName(subject.actor, hash));
  return prefix;
}

/** Returns the rows of the index for the events of one batch, which are in order. */
export function subjectRows(events: Iterable<StoredEvent>, hash: Sha256): IndexRow[] {
  const images: SeqsByName = new Map();
  const references: SeqsByName = new Map();
  const chains: SeqsByName = new Map();
  const actors: SeqsByName = new Map();
  const nameOf = rememberedNames(hash);
  for (const event of events) {
    const subjects = subjectsOf(event);
    for (const image of subjects.images) note(images, digestName(image), event.seq);
    for (const reference of subjects.references) note(references, nameOf(reference), event.seq);
    for (const chain of subjects.chains) note(chains, digestName(chain), event.seq);
    note(actors, nameOf(subjects.actor), event.seq);
  }
  const rows: IndexRow[] = [];
  addRows(rows, 'image', images);
  addRows(rows, 'reference', references);
  addRows(rows, 'chain', chains);
  addRows(rows, 'actor', actors);
  return rows;
}

/** Seqs, ascending, by the name of their subject: subjects that share a name share rows, for one of two would hide the other. */
type SeqsByName = Map<string, number[]>;

function note(seqsOf: SeqsByName, name: string, seq: number): void {
  const seqs = seqsOf.get(name);
  if (seqs === undefined) seqsOf.set(name, [seq]);
  // Two subjects of one event may have the same name.
  else if (seqs[seqs.length - 1] !== seq) seqs.push(seq);
}

function addRows(rows: IndexRow[], kind: SubjectKind, seqsOf: SeqsByName): void {
  for (const [name, seqs] of seqsOf) {
    for (let at = 0; at < seqs.length; at += MAX_ROW_SEQS) {
      const key = rowBytes(PREFIX_BYTES + SEQ_BYTES);
      putPrefix(key, kind, name);
      rows.push(formatRow(key, seqs.length <= MAX_ROW_SEQS ? seqs : seqs.slice(at, at + MAX_ROW_SEQS)));
    }
  }
}

/** Returns what stands in a key for a subject that is a digest: the first digits of its hash. */
function digestName(digest: Digest): string {
  return digest.slice(DIGEST_PREFIX_LENGTH, DIGEST_PREFIX_LENGTH + 2 * SUBJECT_HASH_BYTES);
}

/** Returns what stands in a key for a subject that is any text. */
function textName(text: string, hash: Sha256): string {
  return bytesToHex(hash(utf8.encode(text)).subarray(0, SUBJECT_HASH_BYTES));
}

/** Returns `textName` that hashes a text once: most events of a batch have one actor. */
function rememberedNames(hash: Sha256): (text: string) => string {
  const names = new Map<string, string>();
  return (text) => {
    const known = names.get(text);
    if (known !== undefined) return known;
    const name = textName(text, hash);
    names.set(text, name);
    return name;
  };
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

function putPrefix(key: Uint8Array, kind: SubjectKind, name: string): void {
  key[0] = SUBJECT_PREFIX;
  key[1] = KIND_BYTES[kind];
  putHex(name, key.subarray(2, PREFIX_BYTES));
}

/** The last seq is in the key; the value has the distance from each to the one before, as LEB128, the last one first. */
function formatRow(key: Uint8Array, seqs: readonly number[]): IndexRow {
  putSeq(key, seqs[seqs.length - 1] as number);
  if (seqs.length === 1) return [key, NO_DISTANCES];
  const value: number[] = [];
  for (let at = seqs.length - 1; at > 0; at--) {
    let distance = (seqs[at] as number) - (seqs[at - 1] as number);
    for (; distance >= 0x80; distance = Math.floor(distance / 0x80)) value.push((distance % 0x80) | 0x80);
    value.push(distance);
  }
  return [key, Uint8Array.from(value)];
}

function damagedRow(key: Uint8Array): StoreError {
  const seq = seqOfKey(key);
  return new StoreError('LOG_CORRUPT', `a row of the subject index up to seq ${seq} is damaged`, {
    data: { seq, remedy: 'rebuild' },
  });
}
