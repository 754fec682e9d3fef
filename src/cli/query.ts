import { UsageError } from './exit-codes.js';
import { type ChainId, type DiffId, type Digest, digestHex, type ImageId, isDigest } from '../model/digest.js';
import type { LayerFacts } from '../model/events.js';
import type { PastStore, ReferenceInterval } from '../store/past/audit.js';
import { createChainId } from '../model/rootfs.js';
import { isStoreError, StoreError } from '../errors.js';
import type { EventStore } from '../store/event-store.js';
import type { ImageReads, ReferenceEntry } from '../store/store.js';
import { canonicalReference } from '../model/reference.js';

/**
 * Returns a matcher of whole texts by a pattern as Go's path.Match has them,
 * which is what Docker's `reference` filter uses: `*` and `?` stop at a slash,
 * `[a-z]` and `[^a-z]` are one character, a backslash takes the next character as it is.
 * @throws {UsageError} when a bracket is not closed or is empty
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  const parts = [...pattern.matchAll(/\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|([*]+)|(\?)|([^\\[\]*?])|(.)/gsu)];
  const source = parts.map(([, escaped, negated, set, stars, one, plain, broken]) => {
    if (broken !== undefined)
      throw new UsageError(`cannot read the pattern ${pattern}: a bracket or backslash stands alone`);
    if (set !== undefined) return `(?!/)[${negated ?? ''}${escapeSet(set)}]`;
    if (stars !== undefined) return '[^/]*';
    if (one !== undefined) return '[^/]';
    return escapeText(escaped ?? plain ?? '');
  });
  const expression = compile(source.join(''), pattern);
  return (text) => expression.test(text);
}

function compile(source: string, pattern: string): RegExp {
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch (error) {
    throw new UsageError(`cannot read the pattern ${pattern}: a range in brackets is backwards`, { cause: error });
  }
}

function escapeText(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function escapeSet(set: string): string {
  return set.replace(/\\(.)/gsu, '$1').replace(/[\\[\]^]/g, '\\$&');
}

/** The layers of a store at one moment; empty when it keeps none. */
export type LayerTable = ReadonlyMap<ChainId, Pick<LayerFacts, 'size' | 'diffSize'>>;

/** What reading commands ask: a store of this moment or of a past one. */
export interface ImageSource extends ImageReads, Pick<PastStore, 'resolve' | 'references' | 'referenceEntries'> {
  readonly layers: { map(): LayerTable };
}

/** One layer of an image and the stack that ends with it. */
interface ChainedLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
}

/** Returns the layers of an image from the bottom up, each with the chain id up to there. */
export function layerChain(diffIds: readonly DiffId[]): ChainedLayer[] {
  let below: ChainId | '' = '';
  return diffIds.map((diffId) => {
    // A chain id stands for the whole stack below, so that one step needs no other layer.
    below = createChainId(below === '' ? [diffId] : [below as Digest as DiffId, diffId]);
    return { diffId, chainId: below as ChainId };
  });
}

/** Returns the periods that had begun with event `seq`; what ended later had no end then. */
export function intervalsUpTo(intervals: readonly ReferenceInterval[], seq: number): ReferenceInterval[] {
  return intervals.filter((interval) => interval.seq <= seq).map((interval) => asOf(interval, seq));
}

function asOf(interval: ReferenceInterval, seq: number): ReferenceInterval {
  if (interval.untilSeq === undefined || interval.untilSeq <= seq) return interval;
  const { until, untilSeq, removedBy, removedReason, ...lasting } = interval;
  return lasting;
}

/** Returns what the canonical reference `reference` stands for; undefined when it is not there. */
export function referenceEntry(store: EventStore, reference: string): ReferenceEntry | undefined {
  return store.referenceEntries().find((entry) => entry.reference === reference);
}

/** The error for a reference that is not there; `doing` says what could not be done, as `cannot untag`. */
export function referenceNotFound(doing: string, reference: string): StoreError {
  return new StoreError('REFERENCE_NOT_FOUND', `${doing} ${reference}: no such reference`, { data: { reference } });
}

/** An image that a person named. */
interface FoundImage {
  readonly id: ImageId;
  /** Canonical; present when the name was a reference. */
  readonly reference?: string | undefined;
}

/**
 * Returns the image that `name` means, tried as Docker does: a whole id, a
 * reference, the first digits of an id.
 * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS when several ids begin so
 */
export function findImage(source: ImageSource, name: string): FoundImage {
  if (isDigest(name)) return { id: source.get(name as ImageId).id() };
  const reference = asReference(name);
  if (reference !== undefined) {
    const id = unlessMissing(() => source.resolve(reference));
    if (id !== undefined) return { id, reference };
  }
  const id = unlessMissing(() => source.search(name));
  if (id !== undefined) return { id };
  throw notFound(name);
}

/**
 * Returns the id that `name` means or meant: a whole id as it is, whether or not it ever was; else as `findImage`; else the
 * first digits of an image that was deleted before, which costs one pass over the log.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export async function findImageEver(
  { store, images, seq }: { readonly store: EventStore; readonly images: ImageSource; readonly seq: number },
  name: string,
  signal: AbortSignal,
): Promise<ImageId> {
  if (isDigest(name)) return name as ImageId;
  const alive = unlessMissing(() => findImage(images, name));
  if (alive !== undefined) return alive.id;
  const hex = name.replace(/^sha256:/, '');
  if (!/^[0-9a-f]{1,64}$/.test(hex)) throw notFound(name);
  const ids = new Set<ImageId>();
  for await (const event of store.log.read({ to: seq, filter: { type: 'ImageDeleted' }, signal })) {
    if (event.type === 'ImageDeleted' && digestHex(event.image).startsWith(hex)) ids.add(event.image);
  }
  const [id, second] = ids;
  if (id === undefined) throw notFound(name);
  if (second === undefined) return id;
  throw new StoreError(
    'ID_AMBIGUOUS',
    `cannot tell which image ${JSON.stringify(name)} is: ${ids.size} ids in the log begin so`,
    {
      data: { name, ids: [...ids] },
    },
  );
}

function asReference(name: string): string | undefined {
  try {
    return canonicalReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

function unlessMissing<Result>(find: () => Result): Result | undefined {
  try {
    return find();
  } catch (error) {
    if (isStoreError(error, 'IMAGE_NOT_FOUND') || isStoreError(error, 'REFERENCE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function notFound(name: string): StoreError {
  return new StoreError(
    'IMAGE_NOT_FOUND',
    `cannot find the image ${JSON.stringify(name)}: no reference is called so and no id begins so`,
    {
      data: { name },
    },
  );
}

/** One period in the life of a reference, in which it stood for one thing, or for nothing after it was removed. */
export interface ReferencePeriod {
  /** Absent when it stood for nothing. */
  readonly image?: ImageId | undefined;
  /** Images of other platforms that it stood for as well. */
  readonly others: number;
  /** The event that began it: its moment (milliseconds since the epoch), seq, author, reason and request. */
  readonly from: number;
  readonly seq: number;
  readonly actor: string;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** Absent while it lasts. */
  readonly until?: number | undefined;
}

/** Returns the whole life of a reference, each period beginning where the one before ended, the oldest first. */
export function referencePeriods(intervals: readonly ReferenceInterval[]): ReferencePeriod[] {
  return intervals.flatMap((interval, at) => {
    const gap = gapAfter(interval, intervals[at + 1]);
    return gap === undefined ? [standing(interval)] : [standing(interval), gap];
  });
}

function standing({
  image,
  platforms,
  from,
  until,
  seq,
  actor,
  reason,
  requestId,
}: ReferenceInterval): ReferencePeriod {
  return { image, others: Math.max(0, (platforms?.length ?? 1) - 1), from, until, seq, actor, reason, requestId };
}

function gapAfter(interval: ReferenceInterval, next: ReferenceInterval | undefined): ReferencePeriod | undefined {
  const { until, untilSeq, removedBy, removedReason } = interval;
  if (until === undefined || untilSeq === undefined || removedBy === undefined) return undefined;
  return { others: 0, from: until, until: next?.from, seq: untilSeq, actor: removedBy, reason: removedReason };
}
