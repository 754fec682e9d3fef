import { StoreError } from '../errors.js';
import type { Image } from '../model/image.js';
import { familiarReference, formatReference, parseReference } from '../model/reference.js';
import { byInstant, type Instant, instantOf } from '../model/timestamp.js';
import type { PrunableImage } from '../store/erase.js';
import { UsageError } from './exit-codes.js';
import { type ListedFacts, NO_TIME } from './image-list.js';
import { parseMoment } from '../model/moment.js';
import { globMatcher } from '../model/reference-pattern.js';
import { findImage, type ImageSource } from './query.js';

/** What relative times are relative to. */
export interface ClockReading {
  readonly nowMs: number;
  readonly timeZone: string;
}

/** A parsed `images --filter`. */
export interface ImageFilter {
  readonly fits: (facts: ListedFacts) => boolean;
  /** Whether an artifact of these references matches: by patterns alone, the other keys are of images. */
  readonly fitsArtifact: (references: readonly string[]) => boolean;
  /** Whether a canonical reference matches the patterns; true without patterns. */
  readonly showsReference: (reference: string) => boolean;
}

/** Keys of `images --filter`. Those that need no config come first, and are tested first. */
const imageKeys = [
  'reference',
  'reference!',
  'dangling',
  'since',
  'before',
  'until',
  'os',
  'architecture',
  'label',
  'label!',
] as const;
/** Keys of `prune --filter`. */
const pruneKeys = ['reference', 'reference!', 'until', 'label', 'label!'] as const;

/**
 * Parses `KEY=VALUE` and `KEY!=VALUE` filters as Docker's `images`: all keys must match; values of
 * a key are alternatives, but of `label` all must match, and of a key with `!` none may.
 * @throws {UsageError} for an unknown key or an invalid value
 * @throws {StoreError} IMAGE_NOT_FOUND for the image of `since` or `before`
 */
export function imageFilter(filters: readonly string[], source: ImageSource, clock: ClockReading): ImageFilter {
  const values = valuesByKey(filters, imageKeys);
  const { isNamed, isAllowed } = referenceTests(values);
  const showsReference = (reference: string): boolean => isNamed(reference) && isAllowed(reference);
  const wantsName = values.has('reference');
  const byName = ({ references }: Pick<ListedFacts, 'references'>): boolean =>
    references.length === 0 ? !wantsName : references.some(showsReference);
  const tests = [
    ...(wantsName || values.has('reference!') ? [byName] : []),
    ...factTests(values, source),
    ...timeTests(values, clock),
    ...configTests(values),
  ];
  const areOfImages = [...values.keys()].some((key) => !key.startsWith('reference'));
  return {
    fits: (facts) => tests.every((test) => test(facts)),
    fitsArtifact: (references) => !areOfImages && byName({ references }),
    showsReference,
  };
}

/**
 * Parses the filters of `prune`: as `imageFilter`, but over every name that the image ever had, so
 * that `reference!=*:prod` keeps what was ever prod. An image whose config is gone matches no label
 * and no time, and is kept by `label!` too. Undefined without filters.
 * @throws {UsageError} for an unknown key or an invalid value
 */
export function pruneFilter(
  filters: readonly string[],
  clock: ClockReading,
): ((image: PrunableImage) => boolean) | undefined {
  if (filters.length === 0) return undefined;
  const values = valuesByKey(filters, pruneKeys);
  const { isNamed, isAllowed } = referenceTests(values);
  const needsConfig = ['until', 'label', 'label!'].some((key) => values.has(key as FilterKey));
  const isBefore = beforeMoment(values.get('until'), clock);
  const hasLabels = labelTest(values);
  return ({ references, config }) => {
    if (needsConfig && config === undefined) return false;
    const isWanted = !values.has('reference') || references.some(isNamed);
    if (!isWanted || !references.every(isAllowed)) return false;
    return config === undefined || (isBefore(createdOf(config)) && hasLabels(config));
  };
}

type FilterKey = (typeof imageKeys)[number];
type FilterValues = ReadonlyMap<FilterKey, readonly string[]>;

function valuesByKey(filters: readonly string[], keys: readonly FilterKey[]): FilterValues {
  const values = new Map<FilterKey, string[]>();
  for (const filter of filters) {
    const [key, value] = split(filter, keys);
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

function split(filter: string, keys: readonly FilterKey[]): [key: FilterKey, value: string] {
  const at = filter.indexOf('=');
  const name = at === -1 ? filter : filter.slice(0, at);
  const key = keys.find((each) => each === name);
  if (key === undefined) throw new UsageError(`cannot filter by ${name}: the keys are ${keys.join(', ')}`);
  if (at === -1 || at === filter.length - 1) throw new UsageError(`the filter ${key} needs a value: ${key}=VALUE`);
  return [key, filter.slice(at + 1)];
}

interface ReferenceTests {
  /** Whether it matches a pattern of `reference`; true without any. */
  readonly isNamed: (reference: string) => boolean;
  /** Whether it matches no pattern of `reference!`. */
  readonly isAllowed: (reference: string) => boolean;
}

function referenceTests(values: FilterValues): ReferenceTests {
  const wanted = values.get('reference')?.map(referencePattern);
  const refused = values.get('reference!')?.map(referencePattern) ?? [];
  return {
    isNamed: (reference) => wanted?.some((matches) => matches(reference)) ?? true,
    isAllowed: (reference) => !refused.some((matches) => matches(reference)),
  };
}

// Like reference.FamiliarMatch in Docker's library (short form, with or without tag), plus the long
// form.
function referencePattern(pattern: string): (reference: string) => boolean {
  const matches = usable(() => globMatcher(pattern));
  return (reference) => {
    const { domain, path } = parseReference(reference);
    const name = familiarReference(formatReference({ domain, path }));
    return matches(familiarReference(reference)) || matches(name) || matches(reference);
  };
}

type Test = (facts: ListedFacts) => boolean;

function factTests(values: FilterValues, source: ImageSource): Test[] {
  return [
    ...alternatives(values.get('dangling'), (value): Test => {
      const wanted = truth(value);
      return ({ references, isHead }) => (references.length === 0 && isHead) === wanted;
    }),
    ...alternatives(values.get('since'), (value): Test => {
      const than = createdOfNamed(value, source);
      return (facts) => byInstant(createdIn(facts), than) > 0;
    }),
    ...alternatives(values.get('before'), (value): Test => {
      const than = createdOfNamed(value, source);
      return (facts) => byInstant(createdIn(facts), than) < 0;
    }),
  ];
}

function timeTests(values: FilterValues, clock: ClockReading): Test[] {
  const until = values.get('until');
  if (until === undefined) return [];
  const isBefore = beforeMoment(until, clock);
  return [(facts) => isBefore(createdIn(facts))];
}

function configTests(values: FilterValues): Test[] {
  const hasLabels = labelTest(values);
  return [
    ...alternatives(
      values.get('os'),
      (value): Test =>
        ({ image }) =>
          (image?.os ?? '') === value,
    ),
    ...alternatives(
      values.get('architecture'),
      (value): Test =>
        ({ image }) =>
          (image?.architecture ?? '') === value,
    ),
    ...(values.has('label') || values.has('label!')
      ? [({ image }: ListedFacts) => image !== undefined && hasLabels(image)]
      : []),
  ];
}

function alternatives(values: readonly string[] | undefined, testOf: (value: string) => Test): Test[] {
  if (values === undefined) return [];
  const tests = values.map(testOf);
  return [(facts) => tests.some((test) => test(facts))];
}

// As Docker's MatchKVList: KEY is there with any value, KEY=VALUE with this one. Docker's own prune
// lets an image go that has only some of several `label!`; here each keeps it.
function labelTest(values: FilterValues): (image: Image) => boolean {
  const wanted = (values.get('label') ?? []).map(keyAndValue);
  const refused = (values.get('label!') ?? []).map(keyAndValue);
  return ({ config }) => {
    const labels = config?.labels ?? {};
    const has = ([key, value]: readonly [string, string?]): boolean =>
      Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
    return wanted.every(has) && !refused.some(has);
  };
}

function keyAndValue(text: string): readonly [key: string, value?: string] {
  const at = text.indexOf('=');
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

// Docker takes one `until` too: of two, one would say nothing.
function beforeMoment(values: readonly string[] | undefined, clock: ClockReading): (created: Instant) => boolean {
  if (values === undefined) return () => true;
  const [text = '', ...others] = values;
  if (others.length > 0) throw new UsageError('the filter until is given once');
  const first = firstMs(text, clock);
  const seconds = Math.floor(first / 1_000);
  const than = { seconds, nanoseconds: (first - seconds * 1_000) * 1_000_000 };
  return (created) => byInstant(created, than) < 0;
}

function firstMs(text: string, clock: ClockReading): number {
  const point = usable(() => parseMoment(text, clock));
  if (point.kind === 'event') throw new UsageError(`the filter until is a time, like 2h or 2026-01-31, not ${text}`);
  return point.kind === 'now' ? clock.nowMs : point.first;
}

function usable<Value>(parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (error instanceof StoreError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function createdIn({ created = NO_TIME }: Pick<ListedFacts, 'created'>): Instant {
  return created;
}

function createdOf({ created }: Image): Instant {
  return created === undefined ? NO_TIME : instantOf(created);
}

function createdOfNamed(name: string, source: ImageSource): Instant {
  return createdOf(source.get(findImage(source, name).id));
}

function truth(value: string): boolean {
  if (/^(true|1)$/i.test(value)) return true;
  if (/^(false|0)$/i.test(value)) return false;
  throw new UsageError(`the filter dangling is true or false, not ${value}`);
}
