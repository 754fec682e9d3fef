import type { EventType, StoredEvent } from '../../model/events.js';
import { eventSummary } from '../events/event-summary.js';
import type { Colors, Paint } from './colors.js';
import { pad, truncate } from './display-width.js';
import { printable } from './printable.js';
import { localText } from './time-text.js';

/** A table of events that is written line by line: its widths are known before its rows are. */
export interface EventTable {
  readonly head: string;
  readonly row: (event: StoredEvent) => string;
}

/** What a table of events is drawn with. */
export interface EventTableOptions {
  readonly colors: Colors;
  /** Columns of the terminal; undefined when lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone?: string | undefined;
  /** The largest seq that is likely to come. */
  readonly largestSeq: number;
}

const TIME_COLUMNS = '2026-01-31 14:05:09'.length;
const TYPE_COLUMNS = 'ReferenceRemoved'.length;
const ACTOR_COLUMNS = 14;
const LEAST_SUMMARY_COLUMNS = 20;

/**
 * Returns a table with a bracket on the left around the events of one
 * transaction, and the reason after what the event tells.
 */
export function eventTable({ colors, width, timeZone, largestSeq }: EventTableOptions): EventTable {
  const seqColumns = Math.max('SEQ'.length, String(largestSeq).length);
  const before = seqColumns + 2 + TIME_COLUMNS + 2 + ACTOR_COLUMNS + 2 + TYPE_COLUMNS + 2;
  // On a narrow terminal the date goes first: the time is what tells the events apart.
  const isNarrow = width !== undefined && width - before < LEAST_SUMMARY_COLUMNS;
  const timeColumns = isNarrow ? 'MM-DD HH:MM'.length : TIME_COLUMNS;
  const summaryColumns =
    width === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(LEAST_SUMMARY_COLUMNS, width - before + TIME_COLUMNS - timeColumns);
  const timeOf = (event: StoredEvent): string => {
    const text = localText(event.time, timeZone);
    return isNarrow ? text.slice('2026-'.length, -':00'.length) : text;
  };
  const head = [
    `${pad('SEQ', seqColumns, 'right')} `,
    pad('TIME', timeColumns),
    pad('ACTOR', ACTOR_COLUMNS),
    pad('EVENT', TYPE_COLUMNS),
    'WHAT',
  ];
  return {
    head: colors.bold(head.join('  ').replace('  ', ' ')),
    row: (event) => {
      const actor = truncate(printable(event.actor), ACTOR_COLUMNS);
      const cells = [
        `${pad(String(event.seq), seqColumns, 'right')} ${colors.dim(bracket(event))}`,
        colors.dim(timeOf(event)),
        colors.cyan(pad(actor, ACTOR_COLUMNS)),
        paintOf(event.type, colors)(pad(event.type, TYPE_COLUMNS)),
        told(event, summaryColumns, colors),
      ];
      return cells.join('  ').replace('  ', ' ');
    },
  };
}

function told(event: StoredEvent, columns: number, colors: Colors): string {
  const summary = truncate(printable(eventSummary(event)), columns);
  if (event.reason === undefined) return summary;
  const reason = truncate(`“${printable(event.reason)}”`, columns - summary.length - 2);
  return reason.length < 2 ? summary : `${summary}  ${colors.dim(reason)}`;
}

function bracket({ seq, transaction: { first, count } }: StoredEvent): string {
  if (count === 1) return ' ';
  if (seq === first) return '┌';
  return seq === first + count - 1 ? '└' : '│';
}

function paintOf(type: EventType, colors: Colors): Paint {
  switch (type) {
    case 'ImageCreated':
    case 'LayerAdded':
    case 'ManifestAdded':
      return colors.green;
    case 'ReferenceSet':
    case 'ParentSet':
    case 'MetadataSet':
      return colors.yellow;
    case 'ImageDeleted':
    case 'LayerRemoved':
    case 'ReferenceRemoved':
    case 'ParentCleared':
    case 'MetadataCleared':
      return colors.red;
  }
}
