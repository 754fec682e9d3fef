import { InvalidArgumentError } from 'commander';
import { isStoreError } from '../errors.js';
import type { ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import { familiarReference } from '../model/reference.js';
import { byInstant, type Instant, instantOf, ZERO_TIMESTAMP } from '../model/timestamp.js';
import type { ListedImage } from '../store/images.js';
import type { ImageSource } from './query.js';

/*
 * Lists images in order without reading their configs: of 20,000, `| head -1` reads what it shows.
 */

/** An image of a list. Names, kin and config are read on access. */
export class ListedFacts {
  readonly id: ImageId;
  readonly created: Instant | undefined;
  /** Bytes of all layers; undefined if the store does not keep them, or the config is erased. */
  readonly size: number | undefined;
  readonly #source: ImageSource;
  #references: readonly string[] | undefined;
  #image: Image | undefined;

  constructor({ id, created, size }: ListedImage, source: ImageSource) {
    this.id = id;
    this.created = created;
    this.size = size;
    this.#source = source;
  }

  /** Canonical, sorted. */
  get references(): readonly string[] {
    this.#references ??= this.#source.references(this.id);
    return this.#references;
  }

  get isHead(): boolean {
    return this.#source.children(this.id).length === 0;
  }

  /** Undefined for a past image whose config was erased since. */
  get image(): Image | undefined {
    try {
      this.#image ??= this.#source.get(this.id);
    } catch (error) {
      if (!isStoreError(error, 'CONTENT_ERASED')) throw error;
    }
    return this.#image;
  }
}

const SORT_KEYS = ['created', 'size', 'name', 'id'] as const;

/** A parsed `--sort`. */
export interface SortOrder {
  readonly key: (typeof SORT_KEYS)[number];
  readonly isDescending: boolean;
}

/** Parses `KEY`, `-KEY`, `KEY:asc` or `KEY:desc`. */
export function sortOrder(text: string): SortOrder {
  const [, minus, name, direction] = /^(-?)([a-z]+)(?::(asc|desc))?$/.exec(text) ?? [];
  const key = SORT_KEYS.find((each) => each === name);
  if (key === undefined || (minus !== '' && direction !== undefined)) {
    throw new InvalidArgumentError(`It must be ${SORT_KEYS.join(', ')}; -KEY or KEY:desc for the largest first.`);
  }
  return { key, isDescending: minus === '-' || direction === 'desc' };
}

/**
 * Returns the images that fit, in order, each tested when it is reached. Default order: newest
 * first, then by first reference and id. Missing times and sizes are the smallest, missing names
 * the largest.
 */
export function* listedImages(
  source: ImageSource,
  fits: (facts: ListedFacts) => boolean,
  order?: SortOrder,
): Generator<ListedFacts> {
  const images = source.imageEntries().map((entry) => new ListedFacts(entry, source));
  images.sort(newestFirst);
  for (const image of order === undefined ? images : sorted(images, order)) if (fits(image)) yield image;
}

/** A row of a list: an image under one of its names, or without any. */
export interface NamedImage {
  readonly facts: ListedFacts;
  /** Canonical. */
  readonly reference: string | undefined;
}

/** Returns a row per shown reference of each image, in order; those of no shown name have one row. */
export function namedImages(
  images: Iterable<ListedFacts>,
  showsReference: (reference: string) => boolean,
  order?: SortOrder,
): Iterable<NamedImage> {
  const rows = expanded(images, showsReference);
  if (order?.key !== 'name') return rows;
  return sortedBy([...rows], order, ({ reference }) => sortName(reference), compare);
}

function* expanded(
  images: Iterable<ListedFacts>,
  showsReference: (reference: string) => boolean,
): Generator<NamedImage> {
  for (const facts of images) {
    const references = withoutRepeats(facts.references.filter(showsReference));
    for (const reference of references) yield { facts, reference };
    if (references.length === 0) yield { facts, reference: undefined };
  }
}

/**
 * Leaves out names by digest where a tag of the same repository names the image: a registry sets both.
 */
export function withoutRepeats(references: readonly string[]): readonly string[] {
  const tagged = new Set(
    references.filter((name) => !name.includes('@')).map((name) => name.slice(0, name.lastIndexOf(':'))),
  );
  return references.filter((name) => !name.includes('@') || !tagged.has(name.slice(0, name.indexOf('@'))));
}

/** Images without a time are the oldest. */
export const NO_TIME = instantOf(ZERO_TIMESTAMP);

function newestFirst(a: ListedFacts, b: ListedFacts): number {
  return (
    byInstant(b.created ?? NO_TIME, a.created ?? NO_TIME) ||
    compare(a.references[0] ?? LAST_NAME, b.references[0] ?? LAST_NAME) ||
    compare(a.id, b.id)
  );
}

function sorted(images: readonly ListedFacts[], order: SortOrder): ListedFacts[] {
  switch (order.key) {
    case 'created':
      return sortedBy(images, order, ({ created }) => created ?? NO_TIME, byInstant);
    case 'size':
      return sortedBy(
        images,
        order,
        ({ size }) => size ?? -1,
        (a, b) => a - b,
      );
    case 'name':
      return sortedBy(images, order, ({ references }) => sortName(references[0]), compare);
    case 'id':
      return sortedBy(images, order, ({ id }) => id, compare);
  }
}

/** Returns the items by their keys; those of equal keys keep their order in both directions. */
function sortedBy<Item, Key>(
  items: readonly Item[],
  { isDescending }: SortOrder,
  keyOf: (item: Item) => Key,
  by: (a: Key, b: Key) => number,
): Item[] {
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  keyed.sort(isDescending ? (a, b) => by(b.key, a.key) : (a, b) => by(a.key, b.key));
  return keyed.map(({ item }) => item);
}

const LAST_NAME = '\uffff';

function sortName(reference: string | undefined): string {
  return reference === undefined ? LAST_NAME : familiarReference(reference);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
