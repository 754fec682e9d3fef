import type { Digest, ImageId } from '../model/digest.js';
import { summaryFormat, wholeFormat } from '../log/event-json.js';
import { familiarReference, formatReference, parseReference } from '../model/reference.js';
import { type Instant, msOf } from '../model/timestamp.js';
import type { ArtifactFacts } from './image-facts.js';
import type { ListedFacts, NamedImage } from './image-list.js';
import type { ImageSource } from './query.js';
import { ERASED } from './render/image-table.js';
import { NONE, platformText, shortId, sizeText } from '../model/texts.js';
import type { TimeColumn } from './render/times.js';
import { HOUR_MS, localTimeText, MINUTE_MS, offsetMs, offsetText, zoneName } from '../model/time-zone.js';

/** A row of `images --format`: an image or artifact under one name. */
export interface FieldRow {
  readonly kind: 'image' | 'artifact' | 'index';
  readonly id: Digest;
  /** Canonical. */
  readonly reference: string | undefined;
  readonly created: Instant | undefined;
  /** Bytes. */
  readonly size: number | undefined;
  /** Type of an artifact; empty for images. */
  readonly type: string;
  /** Read on access; undefined for artifacts. */
  readonly facts?: ListedFacts | undefined;
}

/** How fields are written. */
export interface FieldStyle {
  /** The moment of the answer, ms since the epoch. */
  readonly now: number;
  readonly timeZone: string;
  /** The column of creation times of all images; its title names the zone. */
  readonly created: TimeColumn;
  readonly truncates: boolean;
  /** Digest of the manifest, index or artifact that a reference stands for. */
  readonly targetOf: (reference: string) => Digest | undefined;
}

interface Field {
  readonly title: string;
  readonly align?: 'right';
  /** In a template: what docker prints for its fields. */
  readonly text: (row: FieldRow, style: FieldStyle) => string;
  /** In a table of columns; default as in a template. */
  readonly shown?: (row: FieldRow, style: FieldStyle) => string;
  /** In CSV; default as in a template, empty for nothing. */
  readonly exact?: (row: FieldRow, style: FieldStyle) => string | number | undefined;
}

const NOT_KNOWN = 'N/A';

/* Titles and texts of docker's own fields are docker's (docker/cli, formatter/image.go). */
const table = {
  ID: {
    title: 'IMAGE ID',
    text: ({ id }, { truncates }) => (truncates ? shortId(id) : id),
    exact: ({ id }) => id,
  },
  Repository: {
    title: 'REPOSITORY',
    text: ({ reference }) => (reference === undefined ? NONE : repositoryOf(reference)),
  },
  Tag: {
    title: 'TAG',
    text: ({ reference }) => (reference === undefined ? NONE : (parseReference(reference).tag ?? NONE)),
  },
  Digest: {
    title: 'DIGEST',
    text: ({ reference }, { targetOf }) => (reference === undefined ? NONE : (digestOf(reference, targetOf) ?? NONE)),
  },
  CreatedSince: {
    title: 'CREATED',
    text: ({ created }, { now }) => (created === undefined ? NOT_KNOWN : `${agoText(now - msOf(created))} ago`),
  },
  CreatedAt: {
    title: 'CREATED AT',
    text: ({ created }, { timeZone }) => (created === undefined ? NOT_KNOWN : goTimeText(msOf(created), timeZone)),
  },
  Size: {
    title: 'SIZE',
    align: 'right',
    text: ({ size }) => (size === undefined ? NOT_KNOWN : sizeText(size).replace(' ', '')),
    shown: ({ size }) => (size === undefined ? '-' : sizeText(size)),
    exact: ({ size }) => size,
  },
  Reference: {
    title: 'REFERENCE',
    text: ({ reference }) => (reference === undefined ? NONE : familiarReference(reference)),
    shown: ({ reference }, { truncates }) =>
      reference === undefined ? NONE : (truncates ? summaryFormat : wholeFormat).reference(reference),
    exact: ({ reference }) => reference,
  },
  Created: {
    title: 'CREATED',
    text: ({ created }) => (created === undefined ? NOT_KNOWN : utcInstant(created)),
    shown: ({ created }, { created: times }) => (created === undefined ? NONE : times.minutes(msOf(created))),
  },
  Platform: {
    title: 'PLATFORM',
    text: ({ facts }) => (facts === undefined ? '' : platformOf(facts)),
    shown: ({ facts }) => (facts === undefined ? '' : platformOf(facts) || (facts.image === undefined ? ERASED : '')),
  },
  OS: { title: 'OS', text: ({ facts }) => facts?.image?.os ?? '' },
  Architecture: { title: 'ARCHITECTURE', text: ({ facts }) => facts?.image?.architecture ?? '' },
  Variant: { title: 'VARIANT', text: ({ facts }) => facts?.image?.variant ?? '' },
  Parent: {
    title: 'PARENT',
    text: ({ facts }, { truncates }) => shortened(facts?.image?.parent, truncates),
    exact: ({ facts }) => facts?.image?.parent,
  },
  Kind: { title: 'KIND', text: ({ kind }) => kind },
  Type: { title: 'TYPE', text: ({ type }) => type },
} as const satisfies Readonly<Record<string, Field>>;

/** A name of `imageFields`. */
export type FieldName = keyof typeof table;

/** Every field of `images --format`, by the name that templates use. */
export const imageFields: Readonly<Record<FieldName, Field>> = table;

/** Names of `imageFields`, in the order of errors and help. */
export const fieldNames = Object.keys(table) as readonly FieldName[];

/** Returns the field of a column, in any case. */
export function columnNamed(text: string): FieldName | undefined {
  return fieldNames.find((name) => name.toLowerCase() === text.trim().toLowerCase());
}

/** Returns the cell of a field in CSV: whole ids, bytes, times in UTC. */
export function exactCell(name: FieldName, row: FieldRow, style: FieldStyle): string | number | undefined {
  const { text, exact } = imageFields[name];
  const cell = (exact ?? text)(row, style);
  return cell === NONE || cell === NOT_KNOWN || cell === '' ? undefined : cell;
}

/** Returns the row of an image under one of its names. */
export function imageRow({ facts, reference }: NamedImage): FieldRow {
  const { id, created, size } = facts;
  return { kind: 'image', id, reference, created, size, type: '', facts };
}

/** Returns the row of an artifact under one of its names. */
export function artifactRow(artifact: ArtifactFacts, reference: string | undefined): FieldRow {
  const { kind, digest, totalSize, artifactType } = artifact;
  return { kind, id: digest, reference, created: undefined, size: totalSize, type: artifactType ?? '' };
}

/** Returns the digest of each reference's target, read at the first question. */
export function targetsIn(source: ImageSource): FieldStyle['targetOf'] {
  let targets: ReadonlyMap<string, Digest | undefined> | undefined;
  return (reference) => {
    targets ??= new Map(source.referenceEntries().map((entry) => [entry.reference, entry.target?.digest]));
    return targets.get(reference);
  };
}

function repositoryOf(reference: string): string {
  const { domain, path } = parseReference(reference);
  return familiarReference(formatReference({ domain, path }));
}

function digestOf(reference: string, targetOf: FieldStyle['targetOf']): string | undefined {
  return targetOf(reference) ?? parseReference(reference).digest;
}

function platformOf({ image }: ListedFacts): string {
  return image === undefined ? '' : platformText({ ...image.platform(), variant: image.platform().variant ?? null });
}

function shortened(id: ImageId | '' | undefined, truncates: boolean): string {
  if (id === undefined || id === '') return '';
  return truncates ? shortId(id) : id;
}

function utcInstant({ seconds, nanoseconds }: Instant): string {
  const whole = new Date(seconds * 1_000).toISOString().slice(0, -'.000Z'.length);
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
  return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`;
}

/** Formats a time as Go prints one: `2024-03-01 10:00:00 +0100 CET`. */
function goTimeText(timeMs: number, timeZone: string): string {
  const offset = offsetText(offsetMs(timeMs, timeZone)).replace(':', '');
  return `${localTimeText(timeMs, timeZone)} ${offset} ${zoneName(timeMs, timeZone)}`;
}

const DAY_HOURS = 24;

/** Formats an age in docker's words: `5 seconds`, `About an hour`, `3 weeks`. */
export function agoText(ageMs: number): string {
  const seconds = Math.trunc(ageMs / 1_000);
  if (seconds < 1) return 'Less than a second';
  if (seconds < 60) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  const minutes = Math.trunc(ageMs / MINUTE_MS);
  if (minutes < 60) return minutes === 1 ? 'About a minute' : `${minutes} minutes`;
  const hours = Math.trunc(ageMs / HOUR_MS + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 2 * DAY_HOURS) return `${hours} hours`;
  const days = Math.trunc(hours / DAY_HOURS);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.trunc(days / 7)} weeks`;
  if (days < 730) return `${Math.trunc(days / 30)} months`;
  return `${Math.trunc(ageMs / HOUR_MS / DAY_HOURS / 365)} years`;
}
