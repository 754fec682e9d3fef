import type { OptionNames } from '../../model/option-names.js';
import { findAll, findDigest, type FoundDigest } from '../../../projections/find-digest.js';
import type { Erasure } from '../../../projections/content.js';
import { imagesOf } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import { isStoreError, StoreError } from '../../errors.js';
import { MAX_AMBIGUOUS_IDS } from '../../limits.js';
import { type Digest, digestHex, hexPrefix, type ImageId, isDigest } from '../../model/digest.js';
import type { Envelope, ReferenceRemoved, ReferenceSet, StoredEvent } from '../../model/events.js';
import { canonicalReference, parseReference } from '../../model/reference.js';
import { mustBeBoolean, mustBeOptions, mustBeSignal, mustBeString } from '../argument-types.js';
import type { StoreContext } from '../context.js';
import { pastViewsAt } from '../snapshots/views-at.js';
import { seqAt, type When, type WhenOptions } from './audit.js';

/* What is no longer there: which event removed it, and how to see it as it was. */

/** The event that removed a reference, an image or an artifact which is not there since. */
export interface Removal extends Pick<Envelope, 'seq' | 'time' | 'actor' | 'reason' | 'requestId'> {
  readonly kind: 'reference' | 'image' | 'artifact' | 'index';
  /** The canonical reference, the image id, or the digest of the artifact. */
  readonly name: string;
  /**
   * Canonical references. Of an image or artifact those that it had last, as one transaction took
   * them; of a reference itself.
   */
  readonly names: readonly string[];
  /** What a reference pointed at: an image, or else an artifact. */
  readonly image?: ImageId | undefined;
  readonly artifact?: Digest | undefined;
  /** The last seq before the transaction that removed it: `at(before)` has it as it was. */
  readonly before: number;
  /** Present when the config or manifest was erased since, so that `at(before)` cannot read it. */
  readonly erased?: Erasure | undefined;
}

/** A digest that begins with a term. */
export interface SearchMatch extends Pick<FoundDigest, 'kind' | 'digest'> {
  /** Canonical references of it, or of the image of a manifest, sorted; while removed, its last. */
  readonly references: readonly string[];
  /** Absent while it is there. */
  readonly removal?: Removal | undefined;
}

/** Options of reads of what was removed. */
export interface RemovalOptions extends WhenOptions {
  /** As of a point in time; default now. */
  readonly at?: When | undefined;
  readonly signal?: AbortSignal | undefined;
}

const removalOptionNames: OptionNames<RemovalOptions> = { at: true, timeZone: true, signal: true };

/** Options of `searchAll`. */
export interface SearchOptions extends RemovalOptions {
  /** Also what was removed by then; default false. */
  readonly past?: boolean | undefined;
}

export const searchOptionNames: OptionNames<SearchOptions> = { ...removalOptionNames, past: true };

/** Reads of what is no longer there. */
export interface RemovalReads {
  /**
   * Resolves with what removed `name`: a reference, an image id or the digest of an artifact, or
   * its first digits. Undefined while it is there, and for what never was. Uses only the index.
   * Does not know manifests of images, which go with their image.
   * @throws {StoreError} REFERENCE_INVALID; ID_AMBIGUOUS, with `data.ids`, for the first digits of
   *   several that were removed; TIME_INVALID, TIME_OUT_OF_RANGE, ABORTED
   */
  removal(name: string, options?: RemovalOptions): Promise<Removal | undefined>;
  /**
   * Resolves with every image, manifest, index and artifact whose digest begins with `term`, with
   * or without `sha256:`: what is there by digest, then with `past` what was removed by digest.
   * What was removed is found by the index: this reads the events about the digests that begin so.
   * @throws {StoreError} TIME_INVALID, TIME_OUT_OF_RANGE, ABORTED
   */
  searchAll(term: string, options?: SearchOptions): Promise<SearchMatch[]>;
}

/** Answers `RemovalReads` and searches of the past. */
export class RemovalReader implements RemovalReads {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  async removal(name: string, options: RemovalOptions = {}): Promise<Removal | undefined> {
    mustBeString('name', name);
    mustBeOptions(options, removalOptionNames);
    const seq = this.#seqOf(options);
    const { signal } = options;
    let term = name;
    if (!isDigest(name)) {
      const reference = referenceUnlessHex(name);
      const last = reference === undefined ? undefined : await this.#lastAbout(reference, seq, signal);
      if (last?.type === 'ReferenceSet') return undefined;
      if (last?.type === 'ReferenceRemoved') return referenceRemoval(last);
      term = (reference === undefined ? undefined : parseReference(reference).digest) ?? name;
    }
    const lives = await this.#lives(term, seq, signal);
    if (lives.some(({ removed }) => removed === undefined)) return undefined;
    const [only, second] = lives;
    if (second !== undefined)
      throw ambiguous(
        term,
        lives.map(({ digest }) => digest),
      );
    return only && this.#removalOf(only);
  }

  async searchAll(term: string, options: SearchOptions = {}): Promise<SearchMatch[]> {
    mustBeString('term', term);
    mustBeOptions(options, searchOptionNames);
    const seq = this.#seqOf(options);
    const { past, at, signal } = options;
    mustBeBoolean('past', past);
    const views = at === undefined ? this.#context.views : await pastViewsAt(this.#context, seq, signal);
    const matches = findAll(views, term)
      .map((found): SearchMatch => ({ kind: found.kind, digest: found.digest, references: namesOf(views, found) }))
      .sort(byDigest);
    if (past !== true) return matches;
    const gone = (await this.#lives(term, seq, signal)).flatMap((life): SearchMatch[] => {
      const removal = this.#removalOf(life);
      return removal === undefined ? [] : [{ ...life, references: removal.names, removal }];
    });
    return [
      ...matches,
      ...gone.map(({ kind, digest, references, removal }) => ({ kind, digest, references, removal })),
    ];
  }

  /**
   * Resolves with what `find` finds, its image if it has one; if nothing is there, with the only
   * image or artifact removed before whose digest begins so.
   * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
   */
  async searchEver(term: string, options: RemovalOptions): Promise<Digest> {
    mustBeString('partial', term);
    const seq = this.#seqOf(options);
    const { at, signal } = options;
    const views = at === undefined ? this.#context.views : await pastViewsAt(this.#context, seq, signal);
    try {
      const { image, digest } = findDigest(views, term);
      return image ?? digest;
    } catch (error) {
      if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
      const gone = (await this.#lives(term, seq, signal)).map(({ digest }) => digest);
      const [only, second] = gone;
      if (only === undefined) throw error;
      if (second === undefined) return only;
      throw ambiguous(term, gone);
    }
  }

  #seqOf(options: RemovalOptions): number {
    mustBeSignal('signal', options.signal);
    return options.at === undefined ? this.#context.reader.head.seq : seqAt(options.at, this.#context, options);
  }

  async #lastAbout(reference: string, to: number, signal: AbortSignal | undefined): Promise<StoredEvent | undefined> {
    const pages = this.#context.log.subjectPages([{ reference }], { to, reverse: true, pageSize: 1, signal });
    for await (const [event] of pages) return event;
    return undefined;
  }

  /** Returns what began with `term` and was there, sorted by digest; none for a term that is no hex. */
  async #lives(term: string, to: number, signal: AbortSignal | undefined): Promise<Life[]> {
    const hex = hexPrefix(term);
    if (hex === undefined || to === 0) return [];
    const lives = new Lives(hex);
    for await (const page of this.#context.log.prefixPages(hex, { to, signal }))
      for (const event of page) lives.fold(event);
    return lives.all().sort(byDigest);
  }

  #removalOf({ kind, digest, removed, lost }: Life): Removal | undefined {
    if (removed === undefined) return undefined;
    const erased = this.#context.views.erasures.get(digest);
    return { kind, name: digest, names: [...lost].sort(), ...envelopeOf(removed), ...(erased && { erased }) };
  }
}

function referenceRemoval(event: StoredEvent & ReferenceRemoved): Removal {
  const { reference, image, target } = event;
  const pointed = image === undefined ? { artifact: target } : { image };
  return { kind: 'reference', name: reference, names: [reference], ...pointed, ...envelopeOf(event) };
}

function envelopeOf({
  seq,
  time,
  actor,
  reason,
  requestId,
  transaction,
}: StoredEvent): Pick<Removal, 'seq' | 'time' | 'actor' | 'reason' | 'requestId' | 'before'> {
  return { seq, time, actor, reason, requestId, before: transaction.first - 1 };
}

function ambiguous(term: string, ids: readonly Digest[]): StoreError {
  return new StoreError('ID_AMBIGUOUS', `${JSON.stringify(term)} begins ${ids.length} ids that were removed`, {
    data: { term, ids: ids.slice(0, MAX_AMBIGUOUS_IDS), count: ids.length },
  });
}

/** Returns the canonical reference; undefined for the first digits of a digest that are not one. */
function referenceUnlessHex(name: string): string | undefined {
  try {
    return canonicalReference(name);
  } catch (error) {
    if (hexPrefix(name) !== undefined && isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

function byDigest(a: { readonly digest: Digest }, b: { readonly digest: Digest }): number {
  return a.digest < b.digest ? -1 : 1;
}

function namesOf({ references }: Views, { kind, digest, image }: FoundDigest): string[] {
  const own = kind === 'image' || kind === 'manifest' ? references.byImage.get(image as ImageId) : undefined;
  return [...(own ?? references.byTarget.get(digest) ?? [])].sort();
}

/** An image or artifact by its events so far. */
interface Life {
  readonly kind: 'image' | 'artifact' | 'index';
  readonly digest: Digest;
  /** The event that removed it; undefined while it is there. */
  removed: StoredEvent | undefined;
  /** The names that the last transaction to take one took from it. */
  lost: Set<string>;
  lostIn: number;
}

/** Folds events, in order, into what became of the digests that begin with some hex digits. */
class Lives {
  readonly #hex: string;
  readonly #byDigest = new Map<Digest, Life>();

  constructor(hex: string) {
    this.#hex = hex;
  }

  all(): Life[] {
    return [...this.#byDigest.values()];
  }

  fold(event: StoredEvent): void {
    if (event.type === 'ImageCreated') this.#begin('image', event.image);
    else if (event.type === 'ImageDeleted') this.#end(event.image, event);
    else if (event.type === 'ArtifactAdded') {
      this.#begin(event.contains.length > 0 ? 'index' : 'artifact', event.artifact.digest);
    } else if (event.type === 'ArtifactRemoved') this.#end(event.artifact.digest, event);
    else if (event.type === 'ReferenceSet') this.#move(event);
    else if (event.type === 'ReferenceRemoved') {
      for (const digest of [...imagesOf(event), event.target]) this.#lose(digest, event);
    }
  }

  #begin(kind: Life['kind'], digest: Digest): void {
    if (!digestHex(digest).startsWith(this.#hex)) return;
    this.#byDigest.set(digest, { kind, digest, removed: undefined, lost: new Set(), lostIn: 0 });
  }

  #end(digest: Digest, event: StoredEvent): void {
    const life = this.#byDigest.get(digest);
    if (life !== undefined) life.removed = event;
  }

  #move(event: StoredEvent & ReferenceSet): void {
    const { previous, previousPlatforms, previousTarget, target } = event;
    const now = new Set<Digest | undefined>([...imagesOf(event), target?.digest]);
    for (const digest of [...imagesOf({ image: previous, platforms: previousPlatforms }), previousTarget]) {
      if (!now.has(digest)) this.#lose(digest, event);
    }
  }

  #lose(digest: Digest | undefined, event: StoredEvent & (ReferenceSet | ReferenceRemoved)): void {
    const life = digest === undefined ? undefined : this.#byDigest.get(digest);
    if (life === undefined) return;
    if (life.lostIn !== event.transaction.first) life.lost = new Set();
    life.lostIn = event.transaction.first;
    life.lost.add(event.reference);
  }
}
