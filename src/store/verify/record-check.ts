import { hasChildren, parentOf } from '../../../projections/images.js';
import { imagesOf, type ReferenceEntry, samePlatforms } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import { thrownText } from '../../errors.js';
import { MAX_RECORD_BYTES } from '../../limits.js';
import type { SharedRow } from '../../log/event-rows.js';
import { decodeRecord, encodeRecord, recordValues } from '../../log/record.js';
import { equalBytes } from '../../model/bytes.js';
import type { Descriptor, Digest, ImageId } from '../../model/digest.js';
import type { LayerFacts, PlatformImage, StoredEvent } from '../../model/events.js';
import type { LeafVerdict } from './tree-check.js';
import type { Report, StoredRecord, Violation } from './verify-source.js';

/**
 * Returns how `event` contradicts the events in `views`, worded to follow "event 12"; undefined
 * when it does not. So every image has the parent, every reference the images and every layer the
 * layer below that it needs, at every event of the log.
 */
export function contradictionOf(views: Views, event: StoredEvent): string | undefined {
  switch (event.type) {
    case 'ImageCreated':
      return views.images.has(event.image) ? `creates the image ${event.image}, which is there` : undefined;
    case 'ImageDeleted':
      return deletionFault(views, event);
    case 'ParentSet':
      return (
        lacking(views, event.image) ??
        lacking(views, event.parent) ??
        differing('the parent before', parentOf(views.images, event.image), event.previous)
      );
    case 'ParentCleared':
      return differing('the parent', parentOf(views.images, event.image), event.parent);
    case 'MetadataSet':
    case 'ManifestAdded':
      return lacking(views, event.image);
    case 'MetadataCleared':
      return views.metadata.get(event.image)?.has(event.key) === true
        ? undefined
        : `clears the metadata ${event.key} of the image ${event.image}, which has none`;
    case 'ReferenceSet':
      return referenceFault(views, event);
    case 'ReferenceRemoved':
      return removedReferenceFault(views, event);
    case 'LayerAdded':
      return additionFault(views, event);
    case 'LayerRemoved':
      return removalFault(views, event);
    case 'ContentErased':
      return isInUse(views, event.digest) ? `erases ${event.digest}, which is in use` : undefined;
    case 'ArtifactAdded':
      return views.artifacts.byDigest.has(event.artifact.digest)
        ? `adds the artifact ${event.artifact.digest}, which is there`
        : undefined;
    case 'ArtifactRemoved':
      return removedArtifactFault(views, event);
  }
}

function deletionFault(
  views: Views,
  { image, parent, chainId }: StoredEvent & { type: 'ImageDeleted' },
): string | undefined {
  const entry = views.images.get(image);
  if (entry === undefined) return lacking(views, image);
  if (hasChildren(views.images, image)) return `deletes the image ${image}, which still has children`;
  if (views.references.byImage.has(image)) return `deletes the image ${image}, which still has references`;
  return (
    differing('the parent', parentOf(views.images, image), parent) ?? differing('the chain', entry.chainId, chainId)
  );
}

function referenceFault(views: Views, event: StoredEvent & { type: 'ReferenceSet' }): string | undefined {
  const absent = imagesOf(event).find((image) => !views.images.has(image));
  if (absent !== undefined) return lacking(views, absent);
  const { image, target } = event;
  if (image === undefined && target !== undefined && !views.artifacts.byDigest.has(target.digest)) {
    return `is about the artifact ${target.digest}, which is not there`;
  }
  const before = views.references.byName.get(event.reference);
  return (
    differing('the image before', before?.image, event.previous) ??
    differing('the artifact before', artifactOf(before), event.previousTarget) ??
    differingPlatforms('the list of platforms before', before?.platforms, event.previousPlatforms)
  );
}

function removedReferenceFault(
  { references }: Views,
  { reference, image, target, platforms }: StoredEvent & { type: 'ReferenceRemoved' },
): string | undefined {
  const entry = references.byName.get(reference);
  return (
    differing('the image of the reference', entry?.image, image) ??
    differing('the artifact of the reference', artifactOf(entry), target) ??
    differingPlatforms('the list of platforms of the reference', entry?.platforms, platforms)
  );
}

/** Returns the artifact of a reference that has no image. */
function artifactOf(entry: ReferenceEntry | undefined): Digest | undefined {
  return entry?.image === undefined ? entry?.target?.digest : undefined;
}

function removedArtifactFault(
  { artifacts, references }: Views,
  { artifact, subject, blobs }: StoredEvent & { type: 'ArtifactRemoved' },
): string | undefined {
  const { digest } = artifact;
  const entry = artifacts.byDigest.get(digest);
  if (entry === undefined) return `removes the artifact ${digest}, which is not there`;
  if (references.byTarget.has(digest)) return `removes the artifact ${digest}, which still has references`;
  return (
    differing('its subject', entry.subject?.digest, subject?.digest) ??
    differing('the list of its blobs', digestsText(entry.blobs), digestsText(blobs))
  );
}

function digestsText(descriptors: readonly Descriptor[]): string {
  return descriptors.map(({ digest }) => digest).join(', ');
}

function additionFault({ layers }: Views, { chainId, parent }: LayerFacts): string | undefined {
  if (layers.byChain.has(chainId)) return `adds the layer ${chainId}, which is there`;
  if (parent === undefined || layers.byChain.has(parent)) return undefined;
  return `adds the layer ${chainId} on top of ${parent}, which is not there`;
}

function removalFault({ layers, images }: Views, { chainId, blob }: LayerFacts): string | undefined {
  const facts = layers.byChain.get(chainId);
  if (facts === undefined) return `removes the layer ${chainId}, which is not there`;
  if (layers.childrenOf.has(chainId)) return `removes the layer ${chainId}, which other layers are based on`;
  if (images.usesOfChain(chainId) > 0) return `removes the layer ${chainId}, which images need`;
  return differing('the blob', facts.blob.digest, blob.digest);
}

function isInUse({ images, blobs, artifacts }: Views, digest: Digest): boolean {
  return images.has(digest as ImageId) || blobs.byDigest.has(digest) || artifacts.byDigest.has(digest);
}

function lacking({ images }: Views, image: ImageId): string | undefined {
  return images.has(image) ? undefined : `is about the image ${image}, which is not there`;
}

function differing(what: string, is: string | undefined, said: string | undefined): string | undefined {
  return is === said ? undefined : `says that ${what} is ${said ?? 'none'}, and it is ${is ?? 'none'}`;
}

function differingPlatforms(
  what: string,
  is: readonly PlatformImage[] | undefined,
  said: readonly PlatformImage[] | undefined,
): string | undefined {
  return samePlatforms(is, said) ? undefined : differing(what, platformsText(is), platformsText(said));
}

// Quoted: an empty part of a platform differs from any name.
function platformsText(platforms: readonly PlatformImage[] = []): string {
  const texts = platforms.map(({ image, os, architecture, variant }) => {
    const platform = [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
    return `${image} for ${JSON.stringify(platform)}`;
  });
  return texts.length === 0 ? 'none' : texts.join(', ');
}

/** Checks each record alone and against its neighbours: seqs, times and transactions. */
export class RecordCheck {
  readonly #report: Report;
  /** The previous event, when valid. */
  #before: StoredEvent | undefined;
  #time = 0;
  /** First event of a missing stretch. */
  #missingFrom: number | undefined;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Checks the record at `seq`, one more than the last time. Returns its event when valid. */
  check(seq: number, stored: StoredRecord | undefined, verdict: LeafVerdict): StoredEvent | undefined {
    if (stored === undefined) {
      this.#missingFrom ??= seq;
      this.#before = undefined;
      return undefined;
    }
    this.#sayMissing(seq - 1);
    const event = this.#decode(seq, stored, verdict);
    if (event !== undefined) this.#checkNeighbours(event, stored.place);
    this.#before = event;
    return event;
  }

  /** Reports what is known after the last record, `size`. */
  finish(size: number): void {
    this.#sayMissing(size);
    if (this.#before === undefined) return;
    const { transaction } = this.#before;
    const end = transaction.first + transaction.count - 1;
    if (end > size)
      this.#say('TRANSACTION_BROKEN', size, `the log ends inside a transaction that ends at event ${end}`);
  }

  #decode(seq: number, stored: StoredRecord, verdict: LeafVerdict): StoredEvent | undefined {
    const { record, leafHash, sharedRow, place, leafPlace = place } = stored;
    if (sharedRow?.isWhole === false) return this.#decodeShared(seq, stored, sharedRow, verdict);
    if (leafHash === undefined && sharedRow === undefined && record.length > 0)
      this.#say('LEAF_MISSING', seq, `the leaf hash of event ${seq} is missing`, leafPlace);
    if (verdict === 'hash changed') {
      const message = `the leaf hash of event ${seq} was changed: the tree holds that of its record`;
      this.#say('LEAF_WRONG', seq, message, leafPlace);
    } else if (verdict === 'undecided') {
      const message = `event ${seq} and its leaf hash do not belong together, and which of them was changed cannot be told`;
      this.#say('LEAF_WRONG', seq, message, leafPlace);
      return undefined;
    } else if (verdict === 'record changed' || record.length === 0) {
      const message = `the record of event ${seq} is not what was written: its hash is another`;
      this.#say('RECORD_DAMAGED', seq, message, place);
      return undefined;
    }
    return this.#eventOf(seq, stored);
  }

  /** The event of a record whose row is not what its checksum says; a fault of the row is reported once. */
  #decodeShared(
    seq: number,
    stored: StoredRecord,
    { first, last }: SharedRow,
    verdict: LeafVerdict,
  ): StoredEvent | undefined {
    const events = `events ${first} to ${last}`;
    const isRight = verdict === 'hash changed';
    if (seq === first && isRight) {
      const message = `the checksum of the row of ${events} was changed: the tree holds the hashes of its records`;
      this.#say('LEAF_WRONG', seq, message, events);
    } else if (seq === first) {
      const message = `the records of ${events} are not what was written: the checksum of their row is another`;
      this.#say('RECORD_DAMAGED', seq, message, events);
    }
    return isRight ? this.#eventOf(seq, stored) : undefined;
  }

  #eventOf(seq: number, { record, place }: StoredRecord): StoredEvent | undefined {
    const event = this.#parse(seq, record, place);
    if (event === undefined || event.seq === seq) return event;
    const message = `the record at event ${seq} says that it is event ${event.seq}`;
    this.#say('SEQ_WRONG', seq, message, place, { expected: seq, found: event.seq });
    return undefined;
  }

  #parse(seq: number, record: Uint8Array, place: string | undefined): StoredEvent | undefined {
    try {
      const event = decodeRecord(record);
      if (!isCanonical(event, record)) {
        this.#say('RECORD_NOT_CANONICAL', seq, `the record of event ${seq} is not written as it would be today`, place);
      }
      return event;
    } catch (error) {
      const why = thrownText(error);
      this.#say('RECORD_DAMAGED', seq, `the record of event ${seq} cannot be read: ${why}`, place);
      return undefined;
    }
  }

  #checkNeighbours(event: StoredEvent, place: string | undefined): void {
    const { seq, time, transaction } = event;
    if (time < this.#time) {
      const message = `event ${seq} is older than one before it`;
      this.#say('TIME_DECREASED', seq, message, place, { expected: this.#time, found: time });
    }
    this.#time = time;
    const begins = transaction.first === seq;
    if (seq === 1 && !begins) this.#say('TRANSACTION_BROKEN', seq, 'the log begins inside a transaction', place);
    if (this.#before === undefined) return;
    const end = this.#before.transaction.first + this.#before.transaction.count;
    if (begins && end !== seq) {
      const message = `event ${seq} begins a transaction inside one that ends at event ${end - 1}`;
      this.#say('TRANSACTION_BROKEN', seq, message, place);
    } else if (!begins && !isSameCommand(this.#before, event)) {
      this.#say('TRANSACTION_BROKEN', seq, `event ${seq} is not of the transaction that it is in the middle of`, place);
    }
  }

  #sayMissing(last: number): void {
    const first = this.#missingFrom;
    this.#missingFrom = undefined;
    if (first === undefined) return;
    const [place, verb] = first === last ? [`event ${first}`, 'is'] : [`events ${first} to ${last}`, 'are'];
    this.#say('RECORD_MISSING', first, `${place} ${verb} missing from the log`, place);
  }

  #say(
    code: Violation['code'],
    seq: number,
    message: string,
    place = `event ${seq}`,
    found: Pick<Violation, 'expected' | 'found'> = {},
  ): void {
    this.#report({ code, place, message, seq, ...found });
  }
}

/** Whether `record` is what encoding `event`, decoded from it, gives. */
function isCanonical(event: StoredEvent, record: Uint8Array): boolean {
  return isRecordOf(event, record) || equalBytes(encodeRecord(event), record);
}

const SHARED_FIELDS = [
  'time',
  'clock',
  'actor',
  'reason',
  'requestId',
  'via',
  'address',
  'agent',
  'traceparent',
] as const;

/** Whether two events are of one command, by their envelopes. */
function isSameCommand(one: StoredEvent, other: StoredEvent): boolean {
  const { first, count } = one.transaction;
  if (first !== other.transaction.first || count !== other.transaction.count) return false;
  for (const field of SHARED_FIELDS) if (one[field] !== other[field]) return false;
  return true;
}

const NIL = 0xc0;
const BIN_8 = 0xc4;
const FLOAT_64 = 0xcb;
const UINT_8 = 0xcc;
const STR_8 = 0xd9;
const FIX_STR = 0xa0;
const FIX_ARRAY = 0x90;
const ARRAY_16 = 0xdc;

const float = new DataView(new ArrayBuffer(8));
const floatBytes = new Uint8Array(float.buffer);
const utf8 = new TextEncoder();

/**
 * Whether `record` is byte for byte what `encodeRecord` gives for `event`: compares value by value
 * and writes nothing, at a third of the cost. May be false for one that is; then encoding it tells.
 */
export function isRecordOf(event: StoredEvent, record: Uint8Array): boolean {
  if (record.length > MAX_RECORD_BYTES) return false;
  return matchArray(record, 0, recordValues(event)) === record.length;
}

/*
 * Each returns the offset after a MessagePack value of the shortest form, or -1 for another value
 * or form.
 */

function matchValue(bytes: Uint8Array, at: number, value: unknown): number {
  if (typeof value === 'number') return matchNumber(bytes, at, value);
  if (typeof value === 'string') return matchText(bytes, at, value);
  if (value === null) return bytes[at] === NIL ? at + 1 : -1;
  if (value instanceof Uint8Array) return matchBytes(bytes, matchSize(bytes, at, BIN_8, value.length), value);
  return Array.isArray(value) ? matchArray(bytes, at, value) : -1;
}

function matchArray(bytes: Uint8Array, start: number, values: readonly unknown[]): number {
  const { length } = values;
  let at = start;
  if (length < 16) at = bytes[at] === (FIX_ARRAY | length) ? at + 1 : -1;
  else at = length <= 0xffff && bytes[at] === ARRAY_16 ? matchUint(bytes, at + 1, 2, length) : -1;
  for (let index = 0; index < length && at >= 0; index++) at = matchValue(bytes, at, values[index]);
  return at;
}

function matchNumber(bytes: Uint8Array, at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return -1;
  if (value < 0x80) return bytes[at] === value ? at + 1 : -1;
  if (value <= 0xffff_ffff) return matchSize(bytes, at, UINT_8, value);
  if (bytes[at] !== FLOAT_64) return -1;
  float.setFloat64(0, value);
  return matchBytes(bytes, at + 1, floatBytes);
}

function matchText(bytes: Uint8Array, start: number, text: string): number {
  const { length } = text;
  const at = afterTextSize(bytes, start, length);
  let isSame = at >= 0;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) {
      const encoded = utf8.encode(text);
      return matchBytes(bytes, afterTextSize(bytes, start, encoded.length), encoded);
    }
    isSame &&= bytes[at + index] === code;
  }
  return isSame ? at + length : -1;
}

function afterTextSize(bytes: Uint8Array, at: number, size: number): number {
  if (size >= 32) return matchSize(bytes, at, STR_8, size);
  return bytes[at] === (FIX_STR | size) ? at + 1 : -1;
}

/** Matches the type of eight, sixteen or 32 bits, of which `first` is the first, and a number of so many. */
function matchSize(bytes: Uint8Array, at: number, first: number, size: number): number {
  if (size <= 0xff) return bytes[at] === first ? matchUint(bytes, at + 1, 1, size) : -1;
  if (size <= 0xffff) return bytes[at] === first + 1 ? matchUint(bytes, at + 1, 2, size) : -1;
  return bytes[at] === first + 2 ? matchUint(bytes, at + 1, 4, size) : -1;
}

function matchUint(bytes: Uint8Array, start: number, size: number, value: number): number {
  for (let at = start, shift = 8 * (size - 1); shift >= 0; at++, shift -= 8) {
    if (bytes[at] !== ((value >>> shift) & 0xff)) return -1;
  }
  return start + size;
}

function matchBytes(bytes: Uint8Array, at: number, expected: Uint8Array): number {
  if (at < 0) return -1;
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return -1;
  return at + expected.length;
}
