import { InvalidArgumentError, Option } from 'commander';
import { StoreError } from '../errors.js';
import { parseDigest } from '../model/digest.js';
import { parsePlatform } from '../model/platform.js';
import { parseReference, parseRepository } from '../model/reference.js';
import { wantedReference } from '../model/reference-pattern.js';
import { parseMoment } from '../model/timestamp.js';
import type { When } from '../store/past/audit.js';
import type { EventStore } from '../store/event-store.js';

/** Creates an option with its value parser. */
export function option<Value>(
  flags: string,
  description: string,
  parse?: (text: string, before: Value) => Value,
): Option {
  const made = new Option(flags, description);
  return parse === undefined ? made : made.argParser(parse);
}

/** Creates a parser of integers of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
  };
}

/** Creates a parser of points in time; see `parseWhen`. */
export function pointInTime(now: () => number): (text: string) => When {
  return (text) => {
    const when = parseWhen(text, now());
    if (when !== undefined) return when;
    throw new InvalidArgumentError(WHEN_EXPECTED);
  };
}

/** Validates a digest. */
export function digestText(text: string): string {
  return checked(text, parseDigest);
}

/** Validates a platform. */
export function platformName(text: string): string {
  return checked(text, parsePlatform);
}

/** Validates and collects platforms of a repeatable option. */
export function platformNames(text: string, before: readonly string[] = []): string[] {
  return [...before, platformName(text)];
}

/** Validates a reference. */
export function referenceName(text: string): string {
  return checked(text, parseReference);
}

/** Validates a reference, or a pattern of references. */
export function referenceOrPattern(text: string): string {
  return checked(text, wantedReference);
}

export function repositoryName(text: string): string {
  return checked(text, parseRepository);
}

/** Collects the values of a repeatable option. */
export function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Creates a parser that collects the values of a repeatable option, each parsed. */
export function listOf<Value>(
  parse: (text: string) => Value,
): (text: string, before?: readonly Value[]) => readonly Value[] {
  return (text, before = []) => [...before, parse(text)];
}

function checked(text: string, parse: (text: string) => unknown): string {
  try {
    parse(text);
    return text;
  } catch (error) {
    if (error instanceof StoreError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

/** The end of the log, even if the clock is behind it. */
export const NOW = 'now';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const SEQ = /^#?(\d+)$/;
const DURATION = /^(?:\d+(?:ms|[smhdw]))+$/;

/** Error text for input `parseWhen` rejects. */
const WHEN_EXPECTED = 'It must be like 2h, 2026-01-31, 2026-01-31T14:05:00Z, now, or the number of an event.';

/** Help text for points in time. */
export const WHEN_HELP =
  'WHEN is an event (12 or #12), a time ago (2h, 1d12h), a date, RFC 3339, or now. ' +
  'A date is the end of that day. What has no zone is UTC.';

/**
 * Parses a point in time: an event number with or without `#`; a duration before now (`2h`,
 * `1d12h`); a date or RFC 3339, as the store takes them; or `now`. Undefined for anything else.
 */
export function parseWhen(text: string, nowMs: number): When | undefined {
  const seq = SEQ.exec(text)?.[1];
  if (seq !== undefined) return Number.isSafeInteger(Number(seq)) ? Number(seq) : undefined;
  if (text === NOW) return text;
  if (DURATION.test(text)) {
    const date = new Date(nowMs - durationMs(text));
    return Number.isNaN(date.getTime()) ? undefined : date;
  }
  return parseMoment(text) === undefined ? undefined : text;
}

/** Converts `when` to the form `store` takes. */
export function whenIn(store: EventStore, when: When): When {
  return when === NOW ? store.log.head.seq : when;
}

/** Returns the first and last ms of `when`; undefined for an event: only the log knows it. */
export function momentsOf(when: When, nowMs: number): { readonly first: number; readonly last: number } | undefined {
  if (typeof when === 'number') return undefined;
  if (typeof when === 'string' && when !== NOW) return parseMoment(when);
  const time = when === NOW ? nowMs : when.getTime();
  return { first: time, last: time };
}

function durationMs(text: string): number {
  let sum = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)(ms|[smhdw])/g)) sum += Number(count) * (UNIT_MS[unit] ?? 0);
  return sum;
}
