import type { OptionNames } from '../../model/option-names.js';
import type { Erasure } from '../../../projections/content.js';
import type { LogPoint } from '../../log/log.js';
import { type ChainId, type Digest, type ImageId, isDigest } from '../../model/digest.js';
import {
  type Envelope,
  type LayerFacts,
  type PlatformImage,
  type ReferenceRemoved,
  type ReferenceSet,
  routeOf,
  type StoredEvent,
} from '../../model/events.js';
import type { Subject } from '../../model/subjects.js';
import type { Image } from '../../model/image.js';
import type { Platform } from '../../model/platform.js';
import type { ReadOptions } from '../follow/event-filter.js';
import type { ImageReads, ReferenceEntry } from '../store.js';
import { StoreError } from '../../errors.js';
import { MAX_INDEXED_DIFF_EVENTS, PRESENT_MS } from '../../limits.js';
import { factsOf } from '../../model/event-table.js';
import { parseMoment, type PointInTime } from '../../model/moment.js';
import { isPattern } from '../../model/reference-pattern.js';
import { isTimeZone, localTimeText, UTC, zoneName } from '../../model/time-zone.js';
import { lastSeqBy } from '../follow/log-feed.js';
import { diffViews, type StoreChanges, type StoreDiff } from './diff.js';
import { viewsBefore } from './views-before.js';
import { sameTarget } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import { storedImage } from '../../model/stored-image.js';
import { canonicalReference } from '../../model/reference.js';
import { referenceNotImage } from '../commands/artifacts.js';
import { referenceNotFound } from '../commands/tag.js';
import {
  type ArtifactEntry,
  ArtifactReader,
  type ArtifactReads,
  type FoundDigest,
  type Referrer,
  type ReferrersOptions,
} from '../artifacts.js';
import { mustBeOptions, mustBeString } from '../argument-types.js';
import type { StoreContext } from '../context.js';
import type { ManifestEntry } from '../../../projections/content.js';
import { chosenImage, type ListedImage, StoreReader } from '../images.js';
import { layerNotFound } from '../commands/layers.js';
import { pastViewsAt } from '../snapshots/views-at.js';

/**
 * A point in time: a seq, a Date, or a text as on the command line. Texts are
 *
 * - `@12`, `#12` or `12`, a seq; bare digits that look like a year (`2026`) or a day are refused
 * - `2h`, `1d12h`, `2 weeks ago`, `an hour ago`, before now by the store's clock
 * - `today`, `yesterday`, `last tuesday` (before today), also with a time: `yesterday 09:00`
 * - `2026-01-31`; `2026-01-31T14:05` with or without seconds and zone; RFC 3339
 * - `now`, the head of the log
 *
 * A text means the end of what it names: its day, minute or second, or now if that is not over. A
 * Date is its millisecond. Every event up to and with it is included. The current time by the
 * store's clock is the head of the log too, even if the clock once ran ahead and the last events are
 * dated in the future.
 */
export type When = number | Date | string;

/** How a `When` is read. */
export interface WhenOptions {
  /** IANA time zone of days and of times without one; default UTC. */
  readonly timeZone?: string | undefined;
}

/** A `When`, and what the reads of the past take besides. */
export interface PastOptions extends WhenOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The store as it was after one event; later writes do not change it. Views are built on first use,
 * at the cost of opening a store with a few of its views. Deleted images are present while
 * their content is: reading a config erased since throws CONTENT_ERASED. Any member may also throw
 * CONTENT_CORRUPT for a damaged snapshot, and STORE_CLOSED.
 */
export interface PastStore extends ImageReads, ArtifactReads {
  /** The last event included; 0 before the first. */
  readonly seq: number;
  /** Time of that event, milliseconds since the epoch; 0 for seq 0. */
  readonly time: number;
  /** @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID */
  getMetadata(id: ImageId, key: string): Uint8Array;
  /**
   * Returns copies of all metadata values of an image by key, sorted; the parent is not among them.
   * @throws {StoreError} IMAGE_NOT_FOUND
   */
  metadata(id: ImageId): ReadonlyMap<string, Uint8Array>;
  /**
   * @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID, PLATFORM_NOT_FOUND,
   *   PLATFORM_INVALID
   */
  resolve(reference: string, options?: { readonly platform?: Platform | string | undefined }): ImageId;
  /** Returns the canonical references of an image, sorted. */
  references(id: ImageId): string[];
  /** Returns every reference, sorted by name. */
  referenceEntries(): ReferenceEntry[];
  /** Returns what is known of every image without reading its config, in the order added. */
  imageEntries(): ListedImage[];
  /** Returns the manifests with which an image came, in the order they were added; none of `docker save` before 25. */
  manifests(id: ImageId): readonly ManifestEntry[];
  /**
   * Returns what was erased by then and not added again. Content erased since is unreadable too.
   */
  erasures(): ReadonlyMap<Digest, Erasure>;
  /** Facts about each layer; the files of layers removed since are gone. */
  readonly layers: {
    /** @throws {StoreError} LAYER_NOT_FOUND */
    get(chainId: ChainId): LayerFacts;
    /** Returns every layer in the order added. */
    map(): ReadonlyMap<ChainId, LayerFacts>;
  };
}

/**
 * A period in which a reference kept one target; excludes the event that ended it. Seq and envelope
 * are those of the event that began it.
 */
export interface ReferenceInterval extends Omit<Envelope, 'time' | 'clock' | 'transaction'> {
  readonly reference: string;
  /** Absent if it pointed at an artifact or an index without images. */
  readonly image?: ImageId | undefined;
  /** The image it pointed at just before, if any. */
  readonly previous?: ImageId | undefined;
  /** The artifact or index without images it pointed at just before, if any. */
  readonly previousTarget?: Digest | undefined;
  /** Digest of the manifest, index or artifact it pointed at, if any. */
  readonly target?: Digest | undefined;
  /** The image of each platform, for a multi-platform reference. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Time of the event that began it, milliseconds since the epoch. */
  readonly from: number;
  /** Time and seq of the event that ended it; absent while it lasts. */
  readonly until?: number | undefined;
  readonly untilSeq?: number | undefined;
  /** Who removed the reference, why, for what request, and how; absent when it was moved instead. */
  readonly removedBy?: string | undefined;
  readonly removedReason?: string | undefined;
  readonly removedRequestId?: string | undefined;
  readonly removedVia?: string | undefined;
  readonly removedAddress?: string | undefined;
  readonly removedAgent?: string | undefined;
  readonly removedTraceparent?: string | undefined;
}

/** Selects events of a subject's history. */
export type HistoryOptions = Omit<ReadOptions, 'filter'> &
  Pick<NonNullable<ReadOptions['filter']>, 'type' | 'requestId' | 'reasonIncludes' | 'via'>;

const historyOptionNames: OptionNames<HistoryOptions> = {
  onProgress: true,
  from: true,
  to: true,
  reverse: true,
  limit: true,
  signal: true,
  type: true,
  requestId: true,
  reasonIncludes: true,
  via: true,
};

/** Reads of the past. */
export interface AuditReads {
  /**
   * Yields the events about a subject, oldest first, or newest first with `reverse`. To page, pass
   * `limit`, and `from` or `to` next to the last seq received. Costs the events yielded. A string
   * is an image id, a chain id, or a reference in any form.
   * @throws {StoreError} while iterating: SUBJECT_NOT_FOUND when no event is about it;
   *   REFERENCE_INVALID; FILTER_INVALID for a type that no event about it can have; ABORTED
   */
  history(subject: Subject | string, options?: HistoryOptions): AsyncIterable<StoredEvent>;
  /**
   * Resolves with an image that is there or was, as its config has it: without parent and details.
   * @throws {StoreError} SUBJECT_NOT_FOUND when no event is about it; CONTENT_ERASED
   */
  imageEver(id: ImageId): Promise<Image>;
  /**
   * Resolves with every period of a reference, oldest first, using only the index; of a pattern (as
   * in an event filter) those of each reference that ever matched it, removed ones too, sorted by
   * canonical name. Setting a reference to its current target starts no new period.
   * @throws {StoreError} REFERENCE_NOT_FOUND when none was ever set; REFERENCE_INVALID;
   *   FILTER_INVALID for a malformed pattern
   */
  referenceHistory(reference: string): Promise<ReferenceInterval[]>;
  /**
   * Resolves with the store as it was after event `when` or at that time; transactions stay whole.
   * @throws {StoreError} TIME_INVALID; TIME_OUT_OF_RANGE for a future time or seq; ABORTED
   */
  at(when: When, options?: PastOptions): Promise<PastStore>;
  /**
   * Resolves with the last event at or before `when`, seq 0 before the first: what `at` answers as
   * of, without building the past.
   * @throws {StoreError} as `at`
   */
  pointAt(when: When, options?: WhenOptions): Promise<LogPoint>;
  /**
   * Resolves with the net changes after `from` up to and with `to`: what came and went in between
   * is left out.
   * @throws {StoreError} as `at`; TIME_OUT_OF_RANGE also when `to` is before `from`
   */
  diff(from: When, to: When, options?: PastOptions): Promise<StoreDiff>;
}

/**
 * Returns the last event at or before `when`; 0 before the first. A time costs a binary search over
 * the events.
 * @throws {StoreError} TIME_INVALID, TIME_OUT_OF_RANGE for a seq after the head or a future time;
 *   LOG_CORRUPT
 * @throws {RangeError} for a number that is not a seq, or an unknown time zone; TypeError for any
 *   other type
 */
export function seqAt(when: When, context: StoreContext, { timeZone = UTC }: WhenOptions = {}): number {
  const { log, reader, now } = context;
  const headSeq = reader.head.seq;
  mustBeString('timeZone', timeZone);
  if (timeZone !== UTC && !isTimeZone(timeZone))
    throw new RangeError(`timeZone must be an IANA time zone: ${JSON.stringify(timeZone)}`);
  if (typeof when === 'number') return checkedSeq(when, headSeq);
  const clock = now();
  const point = parse(when, clock, timeZone);
  if (point.kind === 'event') return checkedSeq(point.seq, headSeq);
  if (point.kind === 'now') return headSeq;
  const { first, last } = point;
  const head = reader.head.time;
  // A clock that went back is behind the events it stamped.
  const present = Math.max(clock, head);
  if (first > present) throw inFuture(when, present, timeZone);
  // A clock that once ran ahead leaves events dated in the future. A caller who asks for the
  // present, by a clock read a moment ago, wants them too.
  const isPresent = head > clock && first <= clock + PRESENT_MS && last >= clock - PRESENT_MS;
  return isPresent ? headSeq : lastSeqBy(log, headSeq, last);
}

function checkedSeq(seq: number, headSeq: number): number {
  if (!Number.isSafeInteger(seq) || seq < 0) throw new RangeError(`a seq must be a whole number from 0 up: ${seq}`);
  // Turns -0 into 0.
  if (seq <= headSeq) return seq + 0;
  throw new StoreError('TIME_OUT_OF_RANGE', `there is no event ${seq}: the log ends at seq ${headSeq}`, {
    data: { seq, head: headSeq },
  });
}

function parse(when: Date | string, nowMs: number, timeZone: string): PointInTime {
  if (when instanceof Date) {
    const time = when.getTime();
    if (Number.isNaN(time)) throw new StoreError('TIME_INVALID', 'an invalid Date is not a point in time');
    return { kind: 'time', first: time, last: time };
  }
  if (typeof when !== 'string') throw new TypeError('when must be a seq, a Date or a string');
  return parseMoment(when, { nowMs, timeZone });
}

function inFuture(when: Date | string, present: number, timeZone: string): StoreError {
  const text = when instanceof Date ? when.toISOString() : when.slice(0, 100);
  const now = `${localTimeText(present, timeZone)} ${zoneName(present, timeZone)}`;
  return new StoreError('TIME_OUT_OF_RANGE', `${text} is in the future: it is ${now}`, {
    data: { when: text, now: present },
  });
}

/**
 * Returns the periods of one reference, oldest first, from its events in order. There is a gap
 * between a removal and the next setting; setting the current target again, as reloading an archive
 * does, starts no new period.
 */
function referenceIntervals(events: readonly StoredEvent[]): ReferenceInterval[] {
  const intervals: ReferenceInterval[] = [];
  for (const event of events) {
    if (event.type !== 'ReferenceSet' && event.type !== 'ReferenceRemoved') continue;
    const last = intervals.at(-1);
    const isCurrent = last !== undefined && last.untilSeq === undefined;
    if (isCurrent && event.type === 'ReferenceSet' && standsFor(last, event)) continue;
    if (isCurrent) intervals[intervals.length - 1] = ended(last, event);
    if (event.type === 'ReferenceSet') intervals.push(begun(event));
  }
  return intervals;
}

function standsFor({ image, target, platforms }: ReferenceInterval, event: ReferenceSet): boolean {
  return sameTarget({ image, target: target === undefined ? undefined : { digest: target }, platforms }, event);
}

function begun(event: StoredEvent & ReferenceSet): ReferenceInterval {
  const { reference, image, previous, previousTarget, target, platforms, time, seq } = event;
  const { actor, reason, requestId } = event;
  const interval = { reference, image, previous, target: target?.digest, platforms, from: time, seq };
  const before = previousTarget === undefined ? {} : { previousTarget };
  return { ...interval, ...before, actor, reason, requestId, ...routeOf(event) };
}

function ended(interval: ReferenceInterval, event: StoredEvent & (ReferenceSet | ReferenceRemoved)): ReferenceInterval {
  const end = { ...interval, until: event.time, untilSeq: event.seq };
  if (event.type !== 'ReferenceRemoved') return end;
  const { actor, reason, requestId } = event;
  const why = { removedBy: actor, removedReason: reason };
  const request = requestId === undefined ? {} : { removedRequestId: requestId };
  return { ...end, ...why, ...request, ...removedRoute(event) };
}

function removedRoute(event: StoredEvent): Partial<ReferenceInterval> {
  const route = routeOf(event);
  if (route === undefined) return {};
  const { via, address, agent, traceparent } = route;
  return { removedVia: via, removedAddress: address, removedAgent: agent, removedTraceparent: traceparent };
}

const SUBJECT_KINDS: readonly string[] = ['image', 'reference', 'chainId', 'actor'];

const whenOptionNames: OptionNames<WhenOptions> = { timeZone: true };
const pastOptionNames: OptionNames<PastOptions> = { ...whenOptionNames, signal: true };

/** Answers reads of the past: for a single subject from the index, else from past views. */
export class AuditReader implements AuditReads {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  async *history(subject: Subject | string, options: HistoryOptions = {}): AsyncGenerator<StoredEvent> {
    mustBeOptions(options, historyOptionNames);
    const { type, requestId, reasonIncludes, via, ...range } = options;
    const known = await this.#known(subject);
    yield* this.#context.reader.read({ ...range, filter: { ...known, type, requestId, reasonIncludes, via } });
  }

  async referenceHistory(reference: string): Promise<ReferenceInterval[]> {
    mustBeString('reference', reference);
    if (isPattern(reference)) return this.#historiesOf(reference);
    const name = canonicalReference(reference);
    const events: StoredEvent[] = [];
    const { log, reader } = this.#context;
    for await (const page of log.subjectPages([{ reference: name }], { to: reader.head.seq })) {
      for (const event of page) events.push(event);
    }
    const intervals = referenceIntervals(events);
    if (intervals.length === 0) throw referenceNotFound(name);
    return intervals;
  }

  async #historiesOf(pattern: string): Promise<ReferenceInterval[]> {
    const eventsOf = new Map<string, StoredEvent[]>();
    const filter = { reference: pattern, type: ['ReferenceSet', 'ReferenceRemoved'] } as const;
    for await (const event of this.#context.reader.read({ filter })) {
      for (const reference of factsOf(event).references(event)) {
        const events = eventsOf.get(reference);
        if (events === undefined) eventsOf.set(reference, [event]);
        else events.push(event);
      }
    }
    const names = [...eventsOf.keys()].sort();
    const intervals = names.flatMap((name) => referenceIntervals(eventsOf.get(name) ?? []));
    if (intervals.length > 0) return intervals;
    const shown = pattern.slice(0, 100);
    throw new StoreError('REFERENCE_NOT_FOUND', `no reference ever matched ${shown}`, { data: { pattern: shown } });
  }

  /**
   * Returns the image a reference pointed at as of `when`, using only the index. Throws
   * REFERENCE_NOT_FOUND when it was not set then; those of `seqAt` and of `resolve`.
   */
  async resolveAt(
    reference: string,
    when: When,
    { platform, timeZone }: WhenOptions & { readonly platform?: Platform | string | undefined },
  ): Promise<ImageId> {
    mustBeString('reference', reference);
    const name = canonicalReference(reference);
    const seq = seqAt(when, this.#context, { timeZone });
    const pages = this.#context.log.subjectPages([{ reference: name }], { to: seq, reverse: true, pageSize: 1 });
    for await (const [event] of pages) {
      if (event?.type === 'ReferenceSet') {
        const { image, platforms } = event;
        if (image === undefined) throw referenceNotImage(event, await this.#artifactType(event));
        return chosenImage({ reference: name, image, platforms }, platform, (id) => this.#platformOf(id));
      }
      break;
    }
    const then = seq === 0 ? 'nothing had happened yet' : `after event ${seq}`;
    throw new StoreError('REFERENCE_NOT_FOUND', `${name} pointed at nothing then: ${then}`, {
      data: { reference: name, seq },
    });
  }

  async at(when: When, options: PastOptions = {}): Promise<PastStore> {
    mustBeOptions(options, pastOptionNames);
    const { signal, timeZone } = options;
    const seq = seqAt(when, this.#context, { timeZone });
    return new ViewedPast(this.#context, seq, await pastViewsAt(this.#context, seq, signal));
  }

  async pointAt(when: When, options: WhenOptions = {}): Promise<LogPoint> {
    mustBeOptions(options, whenOptionNames);
    return this.#pointAt(when, options.timeZone);
  }

  async diff(from: When, to: When, options: PastOptions = {}): Promise<StoreDiff> {
    mustBeOptions(options, pastOptionNames);
    const { signal, timeZone } = options;
    const first = this.#pointAt(from, timeZone);
    const last = this.#pointAt(to, timeZone);
    if (last.seq < first.seq) {
      throw new StoreError(
        'TIME_OUT_OF_RANGE',
        `a difference goes forward in time: its end, event ${last.seq}, is before its beginning, event ${first.seq}`,
        { data: { from: first.seq, to: last.seq } },
      );
    }
    return { from: first, to: last, ...(await this.#changes(first.seq, last.seq, signal)) };
  }

  async #changes(from: number, to: number, signal: AbortSignal | undefined): Promise<StoreChanges> {
    const { log } = this.#context;
    const pages = log.pages({ from: from + 1, to, signal });
    if (to - from > MAX_INDEXED_DIFF_EVENTS) return diffViews(await pastViewsAt(this.#context, from, signal), pages);
    const events: StoredEvent[] = [];
    for await (const page of pages) for (const event of page) events.push(event);
    const before = await viewsBefore(log, events, { seq: from, signal });
    return diffViews(before ?? (await pastViewsAt(this.#context, from, signal)), [events]);
  }

  // An empty range is a valid answer for a known subject, but a mistake for an unknown one.
  async #known(subject: Subject | string): Promise<Subject> {
    for (const candidate of subjectsNamed(subject)) {
      const pages = this.#context.log.subjectPages([candidate], { to: this.#context.reader.head.seq, pageSize: 1 });
      for await (const page of pages) if (page.length > 0) return candidate;
    }
    const name = typeof subject === 'string' ? subject : Object.values(subject)[0];
    throw new StoreError('SUBJECT_NOT_FOUND', `no event is about ${String(name).slice(0, 100)}`, { data: { subject } });
  }

  async imageEver(id: ImageId): Promise<Image> {
    await this.#known({ image: id });
    return this.#configured(id);
  }

  /** Returns the platform in an image's config, even of a deleted image. */
  #platformOf(id: ImageId): Platform {
    return this.#configured(id).platform();
  }

  #configured(id: ImageId): Image {
    return storedImage(this.#context.readConfig(id), { id, parent: undefined, details: undefined });
  }

  /** Returns the type of the artifact that a reference was pointed at, by the index. */
  async #artifactType({ target, seq }: StoredEvent & ReferenceSet): Promise<string> {
    const image = target?.digest as ImageId;
    const pages = this.#context.log.subjectPages([{ image }], { to: seq, reverse: true });
    for await (const page of pages) {
      for (const event of page) if (event.type === 'ArtifactAdded') return event.artifactType;
    }
    return '';
  }

  #pointAt(when: When, timeZone: string | undefined): LogPoint {
    const seq = seqAt(when, this.#context, { timeZone });
    return { seq, time: this.#context.log.event(seq)?.time ?? 0 };
  }
}

// A digest may be an image id or a chain id; none is both.
function subjectsNamed(subject: Subject | string): Subject[] {
  if (typeof subject === 'string') {
    if (isDigest(subject)) return [{ image: subject as ImageId }, { chainId: subject as ChainId }];
    return [{ reference: canonicalReference(subject) }];
  }
  const known = onlySubject(subject);
  return ['reference' in known ? { reference: canonicalReference(known.reference) } : known];
}

/** Returns the only fact of `subject`: an answer for one of several would look complete. */
function onlySubject(subject: Subject): Subject {
  const facts = Object.entries(Object(subject)).filter(([, value]) => value !== undefined);
  const [[kind, value] = ['', undefined]] = facts;
  if (facts.length !== 1 || !SUBJECT_KINDS.includes(kind)) {
    throw new TypeError(`subject must be a string or an object with one of ${SUBJECT_KINDS.join(', ')}`);
  }
  mustBeString(kind, value);
  return { [kind]: value } as unknown as Subject;
}

const viewsOfPasts = new WeakMap<PastStore, Views>();

/** Returns the views of what `at` returned. @throws {TypeError} for any other object */
export function viewsOf(past: PastStore): Views {
  const views = viewsOfPasts.get(past);
  if (views === undefined) throw new TypeError('past must be what `at` returned');
  return views;
}

/** A store as of one event. */
export class ViewedPast extends StoreReader implements PastStore {
  readonly seq: number;
  readonly time: number;
  readonly layers: PastStore['layers'];
  readonly #artifacts: ArtifactReader;

  /** `views` are as of event `seq` and are no longer folded. */
  constructor(context: StoreContext, seq: number, views: Views) {
    super(context, views);
    viewsOfPasts.set(this, views);
    this.seq = seq;
    this.time = context.log.event(seq)?.time ?? 0;
    this.#artifacts = new ArtifactReader(context, views);
    this.layers = {
      get: (chainId) => {
        context.checkOpen();
        mustBeString('chainId', chainId);
        const facts = views.layers.byChain.get(chainId);
        if (facts === undefined) throw layerNotFound(chainId);
        return facts;
      },
      map: () => {
        context.checkOpen();
        return new Map(views.layers.byChain);
      },
    };
  }

  artifacts(): ArtifactEntry[] {
    return this.#artifacts.artifacts();
  }

  artifact(digest: string): ArtifactEntry {
    return this.#artifacts.artifact(digest);
  }

  artifactManifest(digest: string): Uint8Array {
    return this.#artifacts.artifactManifest(digest);
  }

  find(partial: string): FoundDigest {
    return this.#artifacts.find(partial);
  }

  referrers(digest: string, options?: ReferrersOptions): Referrer[] {
    return this.#artifacts.referrers(digest, options);
  }
}
