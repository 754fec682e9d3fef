import { isStoreError } from '../errors.js';
import type { ChainId, DiffId, ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import { findImage, type ImageSource, layerChain, type LayerTable } from './query.js';
import { familiarReference, formatReference, parseReference } from '../model/reference.js';
import { globMatcher } from '../model/reference-pattern.js';
import { compareInstants, sameInstant, type Timestamp, utcTimestamp, ZERO_TIMESTAMP } from '../model/timestamp.js';
import { UsageError } from './exit-codes.js';

/** An image in `images --json`: one object per line, missing facts null. */
export interface ImageFacts {
  readonly id: ImageId;
  /** Canonical, sorted. */
  readonly references: readonly string[];
  readonly parent: ImageId | null;
  readonly children: readonly ImageId[];
  readonly chainId: ChainId | null;
  /** Diff ids, bottom to top. */
  readonly layers: readonly DiffId[];
  /** Total bytes of regular files in all layers; null if the store does not keep layers. */
  readonly size: number | null;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
  /** In UTC, from the config. */
  readonly created: Timestamp | null;
  /** Whether the image has no children. */
  readonly head: boolean;
  /** Set for a past image whose config was erased since; its config facts are unknown. */
  readonly erased?: true;
}

/** Returns the facts of every image: newest first, then by reference and id (a stable order). */
export function allImageFacts(source: ImageSource): ImageFacts[] {
  const layers = source.layers.map();
  const facts = [...source.map().keys()].map((id) => {
    try {
      return imageFacts(source, source.get(id), layers);
    } catch (error) {
      if (isStoreError(error, 'CONTENT_ERASED')) return erasedFacts(source, id);
      throw error;
    }
  });
  return facts.sort((a, b) => compareCreated(b, a) || compare(sortName(a), sortName(b)) || compare(a.id, b.id));
}

/** Returns the facts of one image; `layers` is the source's table, shared across images. */
export function imageFacts(source: ImageSource, image: Image, layers: LayerTable): ImageFacts {
  const id = image.id();
  const children = source.children(id);
  const chainId = image.rootFS.chainID() || undefined;
  const { os, architecture, variant } = image.platform();
  return {
    id,
    references: source.references(id),
    parent: image.parent === '' ? null : image.parent,
    children,
    chainId: chainId ?? null,
    layers: image.rootFS.diffIds,
    size: chainId === undefined ? 0 : (layers.get(chainId)?.size ?? null),
    os,
    architecture,
    variant: variant ?? null,
    created: createdText(image),
    head: children.length === 0,
  };
}

function erasedFacts(source: ImageSource, id: ImageId): ImageFacts {
  const children = source.children(id);
  return {
    id,
    references: source.references(id),
    parent: parentOf(source, id),
    children,
    chainId: null,
    layers: [],
    size: null,
    os: '',
    architecture: '',
    variant: null,
    created: null,
    head: children.length === 0,
    erased: true,
  };
}

function parentOf(source: ImageSource, id: ImageId): ImageId | null {
  try {
    return source.getParent(id);
  } catch (error) {
    if (isStoreError(error, 'METADATA_NOT_FOUND')) return null;
    throw error;
  }
}

/** Compares by the creation time in the config, to the nanosecond; images without one are the oldest. */
function compareCreated(a: Pick<ImageFacts, 'created'>, b: Pick<ImageFacts, 'created'>): number {
  return compareInstants(a.created ?? ZERO_TIMESTAMP, b.created ?? ZERO_TIMESTAMP);
}

/** Returns a time of the config in UTC, with its nanoseconds; null if it is absent or Go's zero time. */
function createdText({ created }: { readonly created?: Timestamp | undefined }): Timestamp | null {
  return created === undefined || sameInstant(created, ZERO_TIMESTAMP) ? null : utcTimestamp(created);
}

function sortName({ references }: ImageFacts): string {
  return references[0] ?? '\uffff';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** A parsed `images --filter`. */
export interface ImageFilter {
  readonly fits: (facts: ImageFacts) => boolean;
  /** Whether an artifact of these references matches: by patterns alone, the other keys are of images. */
  readonly fitsArtifact: (references: readonly string[]) => boolean;
  /** Whether a canonical reference matches the patterns; true without patterns. */
  readonly showsReference: (reference: string) => boolean;
}

const keys = ['reference', 'dangling', 'os', 'architecture', 'since', 'before'] as const;
type Key = (typeof keys)[number];

/**
 * Parses `KEY=VALUE` filters like Docker: values of a key are alternatives, all keys must match.
 * @throws {UsageError} for an unknown key or an invalid value
 * @throws {StoreError} IMAGE_NOT_FOUND for the image of `since` or `before`
 */
export function imageFilter(filters: readonly string[], source: ImageSource): ImageFilter {
  const tests = new Map<Key, ((facts: ImageFacts) => boolean)[]>();
  const patterns: ((reference: string) => boolean)[] = [];
  for (const filter of filters) {
    const [key, value] = split(filter);
    if (key === 'reference') patterns.push(referencePattern(value));
    tests.set(key, [
      ...(tests.get(key) ?? []),
      key === 'reference' ? anyReference(patterns) : testOf(key, value, source),
    ]);
  }
  const isNamed = (reference: string): boolean => patterns.some((pattern) => pattern(reference));
  const areOfImages = [...tests.keys()].some((key) => key !== 'reference');
  return {
    fits: (facts) => [...tests.values()].every((alternatives) => alternatives.some((test) => test(facts))),
    fitsArtifact: (references) => !areOfImages && (patterns.length === 0 || references.some(isNamed)),
    showsReference: (reference) => patterns.length === 0 || isNamed(reference),
  };
}

function split(filter: string): [key: Key, value: string] {
  const at = filter.indexOf('=');
  const name = at === -1 ? filter : filter.slice(0, at);
  const key = keys.find((each) => each === name);
  if (key === undefined) throw new UsageError(`cannot filter by ${name}: the keys are ${keys.join(', ')}`);
  if (at === -1 || at === filter.length - 1) throw new UsageError(`the filter ${key} needs a value: ${key}=VALUE`);
  return [key, filter.slice(at + 1)];
}

function testOf(key: Exclude<Key, 'reference'>, value: string, source: ImageSource): (facts: ImageFacts) => boolean {
  switch (key) {
    case 'dangling': {
      const wanted = truth(value);
      return ({ references, head }) => (references.length === 0 && head) === wanted;
    }
    case 'os':
      return ({ os }) => os === value;
    case 'architecture':
      return ({ architecture }) => architecture === value;
    case 'since': {
      const than = createdOf(value, source);
      return (facts) => compareCreated(facts, than) > 0;
    }
    case 'before': {
      const than = createdOf(value, source);
      return (facts) => compareCreated(facts, than) < 0;
    }
  }
}

function anyReference(patterns: readonly ((reference: string) => boolean)[]): (facts: ImageFacts) => boolean {
  return ({ references }) => references.some((reference) => patterns.some((pattern) => pattern(reference)));
}

// Like reference.FamiliarMatch in Docker's library (short form, with or without tag), plus the long
// form.
function referencePattern(pattern: string): (reference: string) => boolean {
  const matches = readablePattern(pattern);
  return (reference) => {
    const { domain, path } = parseReference(reference);
    const name = familiarReference(formatReference({ domain, path }));
    return matches(familiarReference(reference)) || matches(name) || matches(reference);
  };
}

function readablePattern(pattern: string): (text: string) => boolean {
  try {
    return globMatcher(pattern);
  } catch (error) {
    if (isStoreError(error, 'FILTER_INVALID')) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function createdOf(name: string, source: ImageSource): Pick<ImageFacts, 'created'> {
  return { created: createdText(source.get(findImage(source, name).id)) };
}

function truth(value: string): boolean {
  if (/^(true|1)$/i.test(value)) return true;
  if (/^(false|0)$/i.test(value)) return false;
  throw new UsageError(`the filter dangling is true or false, not ${value}`);
}

/** One build step of an image. */
export interface BuildStep {
  /** In UTC; null if the config omits it. */
  readonly created: Timestamp | null;
  readonly createdBy: string;
  readonly comment: string;
  /** Bytes of regular files the step added; 0 without a layer, null if unknown to the store. */
  readonly size: number | null;
  /** The step's layer; null if it made none. */
  readonly chainId: ChainId | null;
  readonly diffId: DiffId | null;
}

/** Returns the build steps, oldest first; layers missing from the history come last. */
export function buildSteps(image: Image, layers: LayerTable): BuildStep[] {
  const chain = layerChain(image.rootFS.diffIds);
  const sized = chain.map((layer) => ({ ...layer, size: layers.get(layer.chainId)?.diffSize ?? null }));
  const steps: BuildStep[] = [];
  for (const { createdBy, comment, emptyLayer, ...step } of image.history) {
    const layer = emptyLayer ? undefined : sized.shift();
    steps.push({
      created: createdText(step),
      createdBy,
      comment,
      size: emptyLayer ? 0 : (layer?.size ?? null),
      chainId: layer?.chainId ?? null,
      diffId: layer?.diffId ?? null,
    });
  }
  return [...steps, ...sized.map((layer) => ({ created: null, createdBy: '', comment: '', ...layer }))];
}
