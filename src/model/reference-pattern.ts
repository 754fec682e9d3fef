import { StoreError } from '../errors.js';
import { MAX_REFERENCE_LENGTH } from '../limits.js';
import { canonicalReference, familiarReference, parseReference } from './reference.js';

/** Whether a text fits a pattern, as a whole. */
type Matcher = (text: string) => boolean;

/** One step of a pattern: any number of characters, or a test of one. */
type Step = '*' | ((character: string) => boolean);

const ANY = '*';
const TOKENS = /\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|([*]+)|(\?)|([^\\[\]*?])|(.)/gsu;

/**
 * Compiles a pattern of Go's path.Match (Docker's `reference` filter) to a full-text matcher: `*`
 * and `?` stop at a slash, `[a-z]` and `[^a-z]` match one character, a backslash escapes. A match
 * costs at most the product of both lengths.
 * @throws {StoreError} FILTER_INVALID for an unclosed or empty bracket, a range that is backwards,
 *   or more than MAX_REFERENCE_LENGTH characters
 */
export function globMatcher(pattern: string): Matcher {
  return matcherOf(partsOf(pattern));
}

/**
 * Compiles a pattern of repositories: as `globMatcher`, and two stars as its last part are all that
 * is below, at any depth.
 * @throws {StoreError} FILTER_INVALID
 */
export function repositoryMatcher(pattern: string): Matcher {
  if (pattern === '**') return () => true;
  const above = pattern.replace(/\/\*\*$/, '');
  if (above.includes('**')) throw unreadable(pattern, 'two stars stand only as the last part');
  const matches = globMatcher(above);
  if (above === pattern) return matches;
  const depth = above.split('/').length;
  return (repository) => {
    const parts = repository.split('/');
    return parts.length > depth && matches(parts.slice(0, depth).join('/'));
  };
}

/** The steps between two slashes. */
type Part = readonly Step[];

// No step crosses a slash, so each part is matched alone, without backtracking over the others.
function matcherOf(parts: readonly Part[]): Matcher {
  return (text) => {
    const given = text.split('/');
    return given.length === parts.length && parts.every((steps, at) => fits(steps, charactersOf(given[at] ?? '')));
  };
}

/** A text without surrogates is its own list of characters. */
function charactersOf(text: string): ArrayLike<string> {
  return /[\ud800-\udfff]/.test(text) ? [...text] : text;
}

function partsOf(pattern: string): readonly Part[] {
  if (pattern.length > MAX_REFERENCE_LENGTH) {
    throw unreadable(pattern, `expected at most ${MAX_REFERENCE_LENGTH} characters, found ${pattern.length}`);
  }
  const parts: Step[][] = [[]];
  for (const [, escaped, negated, set, stars, one, plain, broken] of pattern.matchAll(TOKENS)) {
    if (broken !== undefined) throw unreadable(pattern, 'a bracket or backslash stands alone');
    const literal = escaped ?? plain;
    if (literal === '/') parts.push([]);
    else if (literal !== undefined) parts.at(-1)?.push((character) => character === literal);
    else if (set !== undefined) parts.at(-1)?.push(setStep(set, negated !== '', pattern));
    else if (one !== undefined) parts.at(-1)?.push(() => true);
    else if (stars !== undefined) parts.at(-1)?.push(ANY);
  }
  return parts;
}

function setStep(set: string, isNegated: boolean, pattern: string): (character: string) => boolean {
  const ranges: (readonly [first: string, last: string])[] = [];
  for (const [, low = '', high = low] of set.matchAll(/(\\.|[^\\])(?:-(\\.|[^\\]))?/gsu)) {
    const range = [low, high].map((each) => each.replace(/^\\(?=.)/su, '')) as [string, string];
    if (range[0] > range[1]) throw unreadable(pattern, 'a range in brackets is backwards');
    ranges.push(range);
  }
  return (character) => ranges.some(([low, high]) => character >= low && character <= high) !== isNegated;
}

/** Matches without a slash: after a mismatch only the last star can take more. */
function fits(steps: Part, text: ArrayLike<string>): boolean {
  let [step, at] = [0, 0];
  let [star, taken] = [-1, 0];
  while (at < text.length) {
    const now = steps[step];
    if (now === ANY) {
      [star, taken] = [step, at];
      step += 1;
    } else if (now?.(text[at] ?? '') === true) {
      step += 1;
      at += 1;
    } else if (star >= 0) {
      taken += 1;
      [step, at] = [star + 1, taken];
    } else {
      return false;
    }
  }
  while (steps[step] === ANY) step += 1;
  return step === steps.length;
}

/** A reference of which events are wanted: one, or all that fit a pattern. */
export interface WantedReference {
  /** Canonical; undefined for a pattern. */
  readonly name: string | undefined;
  /** Whether a canonical reference is wanted. */
  readonly matches: Matcher;
}

/**
 * Reads a reference or a pattern of references. A text that is a reference names that one; any
 * other that has `*`, `?`, `[` or a backslash is a pattern of `globMatcher`, and matches
 *
 * - with a slash: the familiar and the canonical form, each with and without its tag or digest, as
 *   Docker's `reference` filter does (`shop/*` is every tag of every repository right below `shop`);
 * - without one: the last part of the name, in any repository, with and without its tag or digest
 *   (`*:prod` is `prod` of every repository, `app*` every tag of `shop/app` and of `app-2`).
 * @throws {StoreError} REFERENCE_INVALID for what is neither; FILTER_INVALID as `globMatcher`
 */
export function wantedReference(text: string): WantedReference {
  if (!isPattern(text)) {
    const name = canonicalReference(text);
    return { name, matches: (reference) => reference === name };
  }
  const parts = partsOf(text);
  const matches = matcherOf(parts);
  const last = parts.at(-1) ?? [];
  const isWanted = (reference: string): boolean => {
    if (!withAndWithoutTag(lastPart(reference)).some((part) => fits(last, charactersOf(part)))) return false;
    if (parts.length === 1) return true;
    if (withAndWithoutTag(reference).some(matches)) return true;
    // The familiar form ends the canonical one, and is parsed: most references do not get so far.
    if (!endings(reference).flatMap(withAndWithoutTag).some(matches)) return false;
    return withAndWithoutTag(familiarReference(reference)).some(matches);
  };
  return { name: undefined, matches: isWanted };
}

/** Whether `text` is read as a pattern, not as a reference: `[::1]:5000/app` is one. */
export function isPattern(text: string): boolean {
  if (!/[*?[\\]/.test(text)) return false;
  try {
    parseReference(text);
    return false;
  } catch (error) {
    if (error instanceof StoreError) return true;
    throw error;
  }
}

/** Returns what follows each of the first two slashes. */
function endings(reference: string): string[] {
  const path = reference.slice(reference.indexOf('/') + 1);
  return [path, path.slice(path.indexOf('/') + 1)];
}

function withAndWithoutTag(reference: string): string[] {
  const named = reference.split('@', 1)[0] ?? '';
  const tag = named.indexOf(':', named.lastIndexOf('/') + 1);
  return [reference, tag === -1 ? named : named.slice(0, tag)];
}

function lastPart(text: string): string {
  return text.slice(text.lastIndexOf('/') + 1);
}

function unreadable(pattern: string, why: string): StoreError {
  const shown = pattern.slice(0, 100);
  return new StoreError('FILTER_INVALID', `cannot read the pattern ${shown}: ${why}`, { data: { pattern: shown } });
}
