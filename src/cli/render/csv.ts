import type { StoredEvent } from '../../model/events.js';
import { printable } from './text.js';

/** What a spreadsheet takes for a formula, also in the wide forms of East Asian input methods. */
const FORMULA = /^[=+\-@＝＋－＠]/u;
const QUOTED = /[",]/;

/**
 * Formats one record of CSV (RFC 4180) without its line end; undefined is an empty cell.
 *
 * Texts come from archives and callers, so: a text that a spreadsheet would run as a formula
 * (`=`, `+`, `-`, `@`) gets a leading apostrophe, and control characters, line feeds among them,
 * are escaped as in tables. A record is always one line. Numbers stay as they are.
 */
export function csvRow(cells: readonly (string | number | undefined)[]): string {
  return cells.map(csvCell).join(',');
}

function csvCell(cell: string | number | undefined): string {
  if (cell === undefined) return '';
  if (typeof cell === 'number') return String(cell);
  const text = printable(FORMULA.test(cell) ? `'${cell}` : cell);
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Columns before those of single types of events. */
const COMMON = ['seq', 'time', 'transaction', 'type', 'actor', 'reason', 'requestId'] as const;

/** Fields of events as in JSON; one that is a descriptor is its digest. */
const OWN = [
  'reference',
  'image',
  'previous',
  'target',
  'parent',
  'chainId',
  'diffId',
  'artifact',
  'artifactType',
  'subject',
  'manifest',
  'digest',
  'key',
  'value',
  'size',
] as const;

/** Fields that a column takes instead, where an event has them: of a layer, its own bytes. */
const ELSEWHERE: Readonly<Partial<Record<(typeof OWN)[number], string>>> = {
  previous: 'previousTarget',
  size: 'diffSize',
};

/** Columns that came later, after all others. */
const ROUTE = ['via', 'address', 'agent', 'traceparent'] as const;

/** Header of the log as CSV. */
export const EVENT_CSV_HEAD = csvRow([...COMMON, ...OWN, 'names', 'clock', 'what', ...ROUTE]);

interface EventCsvParts {
  /** The event as in JSON: its times are RFC 3339 in UTC. */
  readonly json: Readonly<Record<string, unknown>>;
  /** What a deleted image was called, in familiar form. */
  readonly names: readonly string[];
  readonly what: string;
}

/** Formats an event as a record of CSV; `transaction` is the seq of its transaction's first event. */
export function eventCsvRow({ seq, transaction, type, ...event }: StoredEvent, parts: EventCsvParts): string {
  const { json, names, what } = parts;
  const { actor, reason, requestId } = event;
  const own = OWN.map((name) => cellOf(json[ELSEWHERE[name] ?? name] ?? json[name]));
  const common = [seq, cellOf(json['time']), transaction.first, type, actor, reason, requestId];
  const called = names.length === 0 ? undefined : names.join(' ');
  const route = ROUTE.map((name) => event[name]);
  return csvRow([...common, ...own, called, cellOf(json['clock']), what, ...route]);
}

function cellOf(value: unknown): string | number | undefined {
  if (typeof value === 'string' || typeof value === 'number') return value;
  return typeof value === 'object' && value !== null && 'digest' in value ? cellOf(value.digest) : undefined;
}
