import { countBefore } from '../model/collections.js';
import { DigestIndex, DigestRows, grown, NO_ROW, roomFor } from '../../projections/digest-index.js';
import type { Digest, ImageId } from '../model/digest.js';
import type { EventType, PlatformImage, ReferenceRemoved, ReferenceSet, StoredEvent } from '../model/events.js';
import { eventTypes, factsOf } from '../model/event-table.js';
import { subjectsOf } from '../model/subjects.js';

type Numbers = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** A list of numbers in a typed array that grows: a million of them are 1, 4 or 8 MB, and no objects. */
class NumberColumn {
  #values: Numbers;
  #length = 0;

  constructor(empty: Numbers) {
    this.#values = empty;
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.#values = grown(this.#values, roomFor(this.#length));
    this.#values[this.#length++] = value;
  }

  /** Returns the value at a place that was pushed. */
  at(place: number): number {
    return this.#values[place] as number;
  }

  set(place: number, value: number): void {
    this.#values[place] = value;
  }
}

function bytesColumn(): NumberColumn {
  return new NumberColumn(new Uint8Array(0));
}

/** For whole numbers below 2^32. */
function wholeColumn(): NumberColumn {
  return new NumberColumn(new Uint32Array(0));
}

function timeColumn(): NumberColumn {
  return new NumberColumn(new Float64Array(0));
}

/** Texts that occur many times, numbered from 0 in the order of their first occurrence. */
class TextTable {
  readonly texts: string[] = [];
  readonly #rows = new Map<string, number>();

  /** Returns the number of a text, which it adds if it is new. */
  add(text: string): number {
    const known = this.#rows.get(text);
    if (known !== undefined) return known;
    const row = this.texts.length;
    this.texts.push(text);
    this.#rows.set(text, row);
    return row;
  }

  find(text: string): number | undefined {
    return this.#rows.get(text);
  }
}

/** Numbers by group, in the order they were added. */
class Grouped {
  readonly #groups = wholeColumn();
  readonly #values = wholeColumn();
  #groupCount = 0;
  /** Values by group, and where each group begins; undefined while it has less than all. */
  #sorted: { readonly starts: Uint32Array; readonly values: Uint32Array } | undefined;

  add(group: number, value: number): void {
    this.#groups.push(group);
    this.#values.push(value);
    this.#groupCount = Math.max(this.#groupCount, group + 1);
    this.#sorted = undefined;
  }

  /** Returns the values of a group; none for an unknown one. */
  of(group: number): Uint32Array {
    this.#sorted ??= this.#sort();
    const { starts, values } = this.#sorted;
    return values.subarray(starts[group] ?? 0, starts[group + 1] ?? 0);
  }

  // Counting sort: two passes, in any order.
  #sort(): { readonly starts: Uint32Array; readonly values: Uint32Array } {
    const count = this.#groups.length;
    const starts = new Uint32Array(this.#groupCount + 1);
    for (let at = 0; at < count; at++)
      starts[this.#groups.at(at) + 1] = (starts[this.#groups.at(at) + 1] as number) + 1;
    for (let group = 1; group < starts.length; group++)
      starts[group] = (starts[group] as number) + (starts[group - 1] as number);
    const values = new Uint32Array(count);
    const next = starts.slice();
    for (let at = 0; at < count; at++) {
      const group = this.#groups.at(at);
      values[next[group] as number] = this.#values.at(at);
      next[group] = (next[group] as number) + 1;
    }
    return { starts, values };
  }
}

/** What a reference pointed at from one event on. */
export interface ReferenceChange {
  /** Event that began it, and its time. */
  readonly seq: number;
  readonly time: number;
  readonly actor: string;
  /** Undefined for an artifact, and while the reference is removed. */
  readonly image: ImageId | undefined;
  /** Its manifest, index or artifact. */
  readonly target: Digest | undefined;
  readonly isRemoved: boolean;
}

/** A reference from one change to the next, or to the moment that was asked for. */
export interface ReferencePeriod extends ReferenceChange {
  /** Event and time that ended it; undefined while it lasts. */
  readonly untilSeq: number | undefined;
  readonly until: number | undefined;
}

/** What a row of changes is. */
const SET = 0;
const REMOVED = 1;
/** Set to what it points at already: no new period. */
const SET_AGAIN = 2;

/**
 * One fold over all events, after which each answer as of an event is a binary search. Keeps numbers
 * in columns, and no event: records are read again when they are shown.
 */
export class Timeline {
  /** First event it knows; 1 unless a document leaves early ones out. */
  readonly first: number;
  readonly #times = timeColumn();
  readonly #types = bytesColumn();
  readonly #actorOf = wholeColumn();
  readonly #transactions = wholeColumn();
  readonly #requests = wholeColumn();
  readonly actors = new TextTable();
  readonly #eventsOfActor = new Grouped();

  /** References by number, canonical. */
  readonly names = new TextTable();
  readonly #changes = {
    names: wholeColumn(),
    kinds: bytesColumn(),
    seqs: wholeColumn(),
    images: wholeColumn(),
    targets: wholeColumn(),
    platforms: wholeColumn(),
    /** Row of the change that began the period. */
    began: wholeColumn(),
  };
  readonly #changesOfName = new Grouped();
  /** Newest change of each name, plus one. */
  readonly #newest = wholeColumn();

  readonly #digests = new DigestRows();
  readonly #digestIndex = new DigestIndex(this.#digests);
  readonly #eventsAbout = new Grouped();

  constructor(first = 1) {
    this.first = first;
  }

  /** Newest event; one less than `first` when there is none. */
  get last(): number {
    return this.first - 1 + this.#times.length;
  }

  /** Folds the event after the last. */
  fold(event: StoredEvent): void {
    const { seq, time, type, actor, transaction, requestId } = event;
    this.#times.push(time);
    this.#types.push(eventTypes.indexOf(type));
    const actorRow = this.actors.add(actor);
    this.#actorOf.push(actorRow);
    this.#eventsOfActor.add(actorRow, seq);
    this.#transactions.push(transaction.first);
    this.#requests.push(requestId === undefined ? 0 : textHash(requestId));
    if (event.type === 'ReferenceSet' || event.type === 'ReferenceRemoved') this.#foldReference(event);
    for (const digest of digestsOf(event)) this.#eventsAbout.add(this.#digestRow(digest), seq);
  }

  #foldReference(event: StoredEvent & (ReferenceSet | ReferenceRemoved)): void {
    const name = this.names.add(event.reference);
    if (name === this.#newest.length) this.#newest.push(0);
    const { kinds, seqs, images, targets, platforms, began } = this.#changes;
    const row = seqs.length;
    const before = this.#newest.at(name) - 1;
    const isRemoval = event.type === 'ReferenceRemoved';
    const image = isRemoval || event.image === undefined ? 0 : this.#digestRow(event.image) + 1;
    const target = isRemoval || event.target === undefined ? 0 : this.#digestRow(event.target.digest) + 1;
    const platform = isRemoval ? 0 : platformsHash(event.platforms);
    const isSame =
      !isRemoval &&
      before >= 0 &&
      kinds.at(before) !== REMOVED &&
      images.at(before) === image &&
      targets.at(before) === target &&
      platforms.at(before) === platform;
    kinds.push(isRemoval ? REMOVED : isSame ? SET_AGAIN : SET);
    this.#changes.names.push(name);
    seqs.push(event.seq);
    images.push(image);
    targets.push(target);
    platforms.push(platform);
    began.push(isSame ? began.at(before) : row);
    this.#newest.set(name, row + 1);
    this.#changesOfName.add(name, row);
  }

  #digestRow(digest: Digest): number {
    const known = this.#digestIndex.find(digest);
    if (known !== NO_ROW) return known;
    const row = this.#digests.push(digest);
    this.#digestIndex.add(row);
    return row;
  }

  time(seq: number): number {
    return this.#times.at(seq - this.first);
  }

  type(seq: number): EventType {
    return eventTypes[this.#types.at(seq - this.first)] as EventType;
  }

  actor(seq: number): string {
    return this.actors.texts[this.#actorOf.at(seq - this.first)] ?? '';
  }

  /** First event of the transaction of an event. */
  transaction(seq: number): number {
    return this.#transactions.at(seq - this.first);
  }

  /** Last event up to a time; one less than `first` before all. */
  seqAt(time: number): number {
    return this.first - 1 + countBefore(this.#times.length, (place) => this.#times.at(place) <= time);
  }

  /** What a reference pointed at after event `seq`; undefined when it was never set until then. */
  referenceAt(name: number, seq: number): ReferenceChange | undefined {
    const rows = this.#changesOfName.of(name);
    const count = this.#countUpTo(rows, seq);
    return count === 0 ? undefined : this.#change(this.#changes.began.at(rows[count - 1] as number));
  }

  /** All periods of a reference that had begun after event `seq`, oldest first. */
  periods(name: number, seq: number): ReferencePeriod[] {
    const rows = this.#changesOfName.of(name);
    const periods: ReferencePeriod[] = [];
    let change: ReferenceChange | undefined;
    for (const row of rows.subarray(0, this.#countUpTo(rows, seq))) {
      if (this.#changes.kinds.at(row) === SET_AGAIN) continue;
      const next = this.#change(row);
      if (change !== undefined) periods.push({ ...change, untilSeq: next.seq, until: next.time });
      change = next;
    }
    if (change !== undefined) periods.push({ ...change, untilSeq: undefined, until: undefined });
    return periods;
  }

  /** Every event about a reference, those that changed nothing too. */
  eventsOfReference(name: number): number[] {
    return Array.from(this.#changesOfName.of(name), (row) => this.#changes.seqs.at(row));
  }

  /** Every event about an image, manifest, artifact, chain of layers or blob, in order. */
  eventsAbout(digest: string): Uint32Array {
    return this.#eventsAbout.of(this.#digestIndex.find(digest));
  }

  eventsOfActor(actor: string): Uint32Array {
    return this.#eventsOfActor.of(this.actors.find(actor) ?? -1);
  }

  /** Events that may be of a request: their records tell. */
  *eventsOfRequest(requestId: string): Generator<number> {
    const hash = textHash(requestId);
    for (let place = 0; place < this.#requests.length; place++) {
      if (this.#requests.at(place) === hash) yield this.first + place;
    }
  }

  /** Digests that events name and that begin with these hex digits, with or without `sha256:`; `most` at most. */
  digestsBeginning(prefix: string, most: number): Digest[] {
    return this.#digestIndex.findPrefix(prefix, most).map((row) => this.#digests.digest(row));
  }

  /** Events that moved or removed a reference, of all or of some, in order. */
  *moves(names?: Iterable<number>): Generator<number> {
    const { kinds, seqs } = this.#changes;
    if (names === undefined) {
      for (let row = 0; row < seqs.length; row++) if (kinds.at(row) !== SET_AGAIN) yield seqs.at(row);
      return;
    }
    for (const name of names) {
      for (const row of this.#changesOfName.of(name)) if (kinds.at(row) !== SET_AGAIN) yield seqs.at(row);
    }
  }

  /** References that some of these events are about; `seqs` ascending. */
  namesOf(seqs: readonly number[]): Set<number> {
    const names = new Set<number>();
    const rows = this.#changes.seqs;
    let row = 0;
    for (const seq of seqs) {
      while (row < rows.length && rows.at(row) < seq) row++;
      if (row < rows.length && rows.at(row) === seq) names.add(this.#changes.names.at(row));
    }
    return names;
  }

  #countUpTo(rows: Uint32Array, seq: number): number {
    return countBefore(rows.length, (place) => this.#changes.seqs.at(rows[place] as number) <= seq);
  }

  #change(row: number): ReferenceChange {
    const { kinds, seqs, images, targets } = this.#changes;
    const seq = seqs.at(row);
    return {
      seq,
      time: this.time(seq),
      actor: this.actor(seq),
      image: this.#digestAt(images.at(row)) as ImageId | undefined,
      target: this.#digestAt(targets.at(row)),
      isRemoved: kinds.at(row) === REMOVED,
    };
  }

  #digestAt(rowPlusOne: number): Digest | undefined {
    return rowPlusOne === 0 ? undefined : this.#digests.digest(rowPlusOne - 1);
  }
}

/** All digests that an event names, each once. */
function digestsOf(event: StoredEvent): Set<Digest> {
  const { images, chains } = subjectsOf(event);
  const digests = new Set<Digest>([...images, ...chains]);
  const facts = factsOf(event);
  const others = [facts.content(event)?.digest, facts.erases(event)];
  if (event.type === 'ReferenceSet') others.push(event.target?.digest);
  for (const digest of others) if (digest !== undefined) digests.add(digest);
  return digests;
}

function platformsHash(platforms: readonly PlatformImage[] | undefined): number {
  if (platforms === undefined || platforms.length === 0) return 0;
  return textHash(
    platforms.map(({ image, os, architecture, variant = '' }) => [image, os, architecture, variant].join(' ')).join(),
  );
}

/** FNV-1a, never 0. Equal texts have equal hashes; other texts are told apart by their records. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0 || 1;
}
