import type { ViewSet, Views } from '../../../projections/views.js';
import { StoreError } from '../../errors.js';
import type { Log, LogPoint } from '../../log/log.js';
import { type ChainId, type ImageId, isDigest } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import type { Platform } from '../../model/platform.js';
import type { StoredConfig } from '../../model/stored-config.js';
import { canonicalReference } from '../../model/reference.js';
import type { Subject } from '../../model/subjects.js';
import { referenceNotFound } from '../decide/tag.js';
import { mustBeObject, mustBeString } from '../argument-types.js';
import type { EventReader } from '../read/event-reader.js';
import { chosenImage } from '../reference-reader.js';
import type { AuditReads, HistoryOptions, PastStore, ReferenceInterval, StoreDiff, When } from './audit.js';
import { diffViews } from './diff-views.js';
import { ViewedPast } from './past-store.js';
import { referenceIntervals } from './reference-intervals.js';
import { seqAt } from './seq-at.js';

/** What questions at the past are answered from. */
export interface AuditReaderParts {
  readonly log: Log;
  readonly reader: EventReader;
  readonly now: () => number;
  /** Returns views of the caller's own, as of an event: to be folded on, or for reading. */
  readonly viewsAt: (seq: number, signal?: AbortSignal) => Promise<ViewSet>;
  readonly pastViewsAt: (seq: number, signal?: AbortSignal) => Promise<Views>;
  readonly readConfig: (id: ImageId) => StoredConfig;
  /** The platform that the config of an image names, also of one that was deleted. */
  readonly platformOf: (id: ImageId) => Platform;
  /** Throws STORE_CLOSED when the store is. */
  readonly checkOpen: () => void;
}

const SUBJECT_KINDS: readonly string[] = ['image', 'reference', 'chainId', 'actor'];

interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** Answers questions at the past: from the index where they are about one subject, else from views folded up to a seq. */
export class AuditReader implements AuditReads {
  readonly #parts: AuditReaderParts;

  constructor(parts: AuditReaderParts) {
    this.#parts = parts;
  }

  async *history(subject: Subject | string, options: HistoryOptions = {}): AsyncGenerator<StoredEvent> {
    mustBeObject('options', options);
    const { type, ...range } = options;
    const known = await this.#known(subject);
    yield* this.#parts.reader.read({ ...range, filter: { ...known, type } });
  }

  async referenceHistory(reference: string): Promise<ReferenceInterval[]> {
    mustBeString('reference', reference);
    const name = canonicalReference(reference);
    const events: StoredEvent[] = [];
    const { log, reader } = this.#parts;
    for await (const page of log.subjectPages([{ reference: name }], { to: reader.head.seq })) {
      for (const event of page) events.push(event);
    }
    const intervals = referenceIntervals(events);
    if (intervals.length === 0) throw referenceNotFound(name);
    return intervals;
  }

  /**
   * Returns the image that a reference gave at `when`, from the index alone.
   * @throws {StoreError} REFERENCE_NOT_FOUND when it pointed at nothing then; those of `seqAt` and of `resolve`
   */
  async resolveAt(reference: string, when: When, platform: Platform | string | undefined): Promise<ImageId> {
    mustBeString('reference', reference);
    const name = canonicalReference(reference);
    const seq = this.#seqAt(when);
    const pages = this.#parts.log.subjectPages([{ reference: name }], { to: seq, reverse: true, pageSize: 1 });
    for await (const [event] of pages) {
      if (event?.type === 'ReferenceSet') return chosenImage(event, platform, this.#parts.platformOf);
      break;
    }
    const then = seq === 0 ? 'nothing had happened yet' : `after event ${seq}`;
    throw new StoreError('REFERENCE_NOT_FOUND', `${name} pointed at nothing then: ${then}`, {
      data: { reference: name, seq },
    });
  }

  async at(when: When, { signal }: Abortable = {}): Promise<PastStore> {
    const { log, readConfig, checkOpen, pastViewsAt } = this.#parts;
    const seq = this.#seqAt(when);
    const views = await pastViewsAt(seq, signal);
    return new ViewedPast({ views, seq, log, readConfig, checkOpen });
  }

  async diff(from: When, to: When, { signal }: Abortable = {}): Promise<StoreDiff> {
    const { log, viewsAt } = this.#parts;
    const first = this.#pointAt(from);
    const last = this.#pointAt(to);
    if (last.seq < first.seq) {
      throw new StoreError(
        'TIME_OUT_OF_RANGE',
        `a difference goes forward in time: its end, event ${last.seq}, is before its beginning, event ${first.seq}`,
        { data: { from: first.seq, to: last.seq } },
      );
    }
    const changes = await diffViews(
      await viewsAt(first.seq, signal),
      log.pages({ from: first.seq + 1, to: last.seq, signal }),
    );
    return { from: first, to: last, ...changes };
  }

  // That nothing happened in a range is an answer for what was there once, and a mistake for what never was.
  async #known(subject: Subject | string): Promise<Subject> {
    for (const candidate of subjectsNamed(subject)) {
      const pages = this.#parts.log.subjectPages([candidate], { to: this.#parts.reader.head.seq, pageSize: 1 });
      for await (const page of pages) if (page.length > 0) return candidate;
    }
    const name = typeof subject === 'string' ? subject : Object.values(subject)[0];
    throw new StoreError('SUBJECT_NOT_FOUND', `no event is about ${String(name).slice(0, 100)}`, { data: { subject } });
  }

  #seqAt(when: When): number {
    const { log, reader, now } = this.#parts;
    return seqAt(when, { log, headSeq: reader.head.seq, now });
  }

  #pointAt(when: When): LogPoint {
    const seq = this.#seqAt(when);
    return { seq, time: this.#parts.log.event(seq)?.time ?? 0 };
  }
}

// A digest may be an image's or a chain's; no digest is both.
function subjectsNamed(subject: Subject | string): Subject[] {
  if (typeof subject === 'string') {
    if (isDigest(subject)) return [{ image: subject as ImageId }, { chainId: subject as ChainId }];
    return [{ reference: canonicalReference(subject) }];
  }
  const known = onlySubject(subject);
  return ['reference' in known ? { reference: canonicalReference(known.reference) } : known];
}

/** Returns the one fact that `subject` has: of several, an answer about one of them would look like one about all. */
function onlySubject(subject: Subject): Subject {
  const facts = Object.entries(Object(subject)).filter(([, value]) => value !== undefined);
  const [[kind, value] = ['', undefined]] = facts;
  if (facts.length !== 1 || !SUBJECT_KINDS.includes(kind)) {
    throw new TypeError(`subject must be a string or an object with one of ${SUBJECT_KINDS.join(', ')}`);
  }
  mustBeString(kind, value);
  return { [kind]: value } as unknown as Subject;
}
