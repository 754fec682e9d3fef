import { InvalidArgumentError, Option } from 'commander';
import { StoreError } from '../errors.js';
import { parseDigest } from '../model/digest.js';
import { parsePlatform } from '../model/platform.js';
import { parseReference, parseRepository } from '../model/reference.js';
import { wantedReference } from '../model/reference-pattern.js';
import { parseMoment } from '../model/moment.js';
import { systemTimeZone } from '../model/time-zone.js';
import type { When } from '../store/past/audit.js';
import { cutPattern, isCutReference, mayBeId } from './cut-reference.js';
import type { CliIo } from './output.js';

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

/** Parses the seq of an event, as tables and `--at` have it: `12`, `#12` or `@12`. */
export function eventSeq(text: string): number {
  return wholeNumber(1)(text.replace(/^[#@]/, ''));
}

/**
 * Creates a parser of points in time. It returns the seq of an event, else the text as it was typed:
 * only later is it known whether --utc was given.
 */
export function pointInTime(io: Pick<CliIo, 'now' | 'timeZone'>): (text: string) => When {
  return (text) => {
    const timeZone = io.timeZone ?? systemTimeZone();
    const point = checked(() => parseMoment(text, { nowMs: io.now(), timeZone }));
    if (point.kind === 'event') return point.seq;
    return point.kind === 'now' ? NOW : text;
  };
}

/** Validates a digest. */
export function digestText(text: string): string {
  checked(() => parseDigest(text));
  return text;
}

/** Validates a platform. */
export function platformName(text: string): string {
  checked(() => parsePlatform(text));
  return text;
}

/** Validates and collects platforms of a repeatable option. */
export function platformNames(text: string, before: readonly string[] = []): string[] {
  return [...before, platformName(text)];
}

/** Validates a reference. */
export function referenceName(text: string): string {
  checked(() => parseReference(text));
  return text;
}

/** Validates a reference, whose digest may be cut, or the first digits of an id or digest. */
export function referenceOrId(text: string): string {
  if (!isCutReference(text) && !mayBeId(text)) checked(() => parseReference(text));
  return text;
}

/** Validates a reference, or a pattern of references; one whose digest is cut is the pattern of its beginning. */
export function referenceOrPattern(text: string): string {
  return checked(() => {
    const wanted = cutPattern(text);
    wantedReference(wanted);
    return wanted;
  });
}

/** Validates a reference, a pattern of references, or the first digits of an id or digest. */
export function referenceOrPatternOrId(text: string): string {
  return mayBeId(text) ? text : referenceOrPattern(text);
}

/** Validates a repository: a reference without tag and digest. */
export function repositoryName(text: string): string {
  checked(() => parseRepository(text));
  return text;
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

function checked<Value>(parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (error instanceof StoreError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

/** The end of the log, even if the clock is behind it. */
export const NOW = 'now';

/** Help text for points in time. */
export const WHEN_HELP =
  'WHEN is an event (@12, #12 or 12), a time ago (2h, 1d12h, "2 weeks ago"), now, today, yesterday, "last tuesday" ' +
  '(before today), these also with a time ("yesterday 09:00"), a date, or a date and time with or without a zone ' +
  '(RFC 3339). A time without a zone is local ($TZ; --utc makes it UTC). A date is the end of that day, a minute the ' +
  'end of that minute. A time that clocks show twice is both, one that they skip the moment of the change.';

/** First and last ms of `when`; undefined for an event: only the log knows it. */
export function momentsOf(
  when: When,
  { io, timeZone }: { readonly io: Pick<CliIo, 'now'>; readonly timeZone: string },
): { readonly first: number; readonly last: number } | undefined {
  const nowMs = io.now();
  if (when instanceof Date) return { first: when.getTime(), last: when.getTime() };
  if (typeof when === 'number') return undefined;
  const point = parseMoment(when, { nowMs, timeZone });
  if (point.kind === 'now') return { first: nowMs, last: nowMs };
  return point.kind === 'time' ? point : undefined;
}
