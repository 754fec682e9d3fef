import { InvalidArgumentError } from 'commander';
import type { When } from '../../store/past/audit.js';
import { StoreError } from '../../errors.js';
import { type EventType, eventTypes } from '../../model/events.js';
import { parseDigest } from '../../model/digest.js';
import { parsePlatform } from '../../model/platform.js';
import { parseReference } from '../../model/reference.js';
import { parseWhen, WHEN_EXPECTED } from '../when.js';

/** Returns a parser of whole numbers of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
  };
}

/** Returns a parser of points in time, as `parseWhen` reads them. */
export function pointInTime(now: () => number): (text: string) => When {
  return (text) => {
    const when = parseWhen(text, now());
    if (when !== undefined) return when;
    throw new InvalidArgumentError(WHEN_EXPECTED);
  };
}

/** Returns `text`, which an unset variable would leave empty: nobody means that. */
export function nonEmptyText(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('It must not be empty.');
}

/** Returns `text`, which is a digest. */
export function digestText(text: string): string {
  return checked(text, parseDigest);
}

/** Returns `text`, which is a platform. */
export function platformName(text: string): string {
  return checked(text, parsePlatform);
}

/** Returns `text`, which is a reference. */
export function referenceName(text: string): string {
  return checked(text, parseReference);
}

/** Collects kinds of events: the option may be repeated, its values separated by commas, in any case. */
export function eventTypeNames(text: string, before: readonly EventType[] = []): EventType[] {
  return [...before, ...text.split(',').map(eventTypeName)];
}

/** Collects the values of an option that may be repeated. */
export function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

function eventTypeName(text: string): EventType {
  const type = eventTypes.find((each) => each.toLowerCase() === text.trim().toLowerCase());
  if (type !== undefined) return type;
  throw new InvalidArgumentError(`The kinds of events are ${eventTypes.join(', ')}.`);
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
