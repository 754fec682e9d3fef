import { familiarReference, formatReference, parseReference } from '../../model/reference.js';
import { UsageError } from '../usage-error.js';
import { findImage } from './find-image.js';
import { globMatcher } from './glob.js';
import { createdMs, type ImageFacts } from './image-facts.js';
import type { ImageSource } from './image-source.js';

/** What `images --filter` asks for. */
export interface ImageFilter {
  /** Whether an image fits every key. */
  readonly fits: (facts: ImageFacts) => boolean;
  /** Whether a reference, canonical, fits the patterns; true when there are none. */
  readonly showsReference: (reference: string) => boolean;
}

const keys = ['reference', 'dangling', 'os', 'architecture', 'since', 'before'] as const;
type Key = (typeof keys)[number];

/**
 * Returns what the `KEY=VALUE` of `filters` ask for, with the meanings that
 * Docker gives them. Values of one key are alternatives; all keys must hold.
 * @throws {UsageError} for an unknown key or a value that the key cannot have
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
  return {
    fits: (facts) => [...tests.values()].every((alternatives) => alternatives.some((test) => test(facts))),
    showsReference: (reference) => patterns.length === 0 || patterns.some((pattern) => pattern(reference)),
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
      const time = createdOf(value, source);
      return (facts) => createdMs(facts) > time;
    }
    case 'before': {
      const time = createdOf(value, source);
      return (facts) => createdMs(facts) < time;
    }
  }
}

function anyReference(patterns: readonly ((reference: string) => boolean)[]): (facts: ImageFacts) => boolean {
  return ({ references }) => references.some((reference) => patterns.some((pattern) => pattern(reference)));
}

// As reference.FamiliarMatch of Docker's library: the short form with its tag, or without; here the long form too.
function referencePattern(pattern: string): (reference: string) => boolean {
  const matches = globMatcher(pattern);
  return (reference) => {
    const { domain, path } = parseReference(reference);
    const name = familiarReference(formatReference({ domain, path }));
    return matches(familiarReference(reference)) || matches(name) || matches(reference);
  };
}

function createdOf(name: string, source: ImageSource): number {
  return createdMs({ created: source.get(findImage(source, name).id).created ?? null });
}

function truth(value: string): boolean {
  if (/^(true|1)$/i.test(value)) return true;
  if (/^(false|0)$/i.test(value)) return false;
  throw new UsageError(`the filter dangling is true or false, not ${value}`);
}
