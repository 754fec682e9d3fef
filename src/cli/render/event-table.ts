import type { StoredEvent } from '../../model/events.js';
import { eventTypes, factsOf } from '../../model/event-table.js';
import { eventSummary } from '../events.js';
import { displayWidth, pad, truncate } from './display-width.js';
import { type Colors, localText, type Paint, printable } from './text.js';
import { timeColumn } from './times.js';

/** An event table printed line by line; its widths are fixed before any row is known. */
export interface EventTable {
  readonly head: string;
  readonly row: (event: StoredEvent) => string;
}

interface EventTableOptions {
  readonly colors: Colors;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone: string;
  /** Times that have every name of the zone among the events. */
  readonly times: Iterable<number>;
  readonly largestSeq: number;
}

const TIME_COLUMNS = '2026-01-31 14:05:09'.length;
const SHORT_TIME_COLUMNS = '01-31 14:05'.length;
const TYPE_COLUMNS = eventTypes.reduce((most, { length }) => Math.max(most, length), 0);
const ACTOR_COLUMNS = 14;
const EFFECT_COLORS = { adds: 'green', changes: 'yellow', removes: 'red' } as const;
const LEAST_SUMMARY_COLUMNS = 20;
const GAP_COLUMNS = 2;

/** Returns a table with brackets around transactions, and reasons after the summaries. */
export function eventTable({ colors, width, timeZone, times, largestSeq }: EventTableOptions): EventTable {
  const seqColumns = Math.max('SEQ'.length, String(largestSeq).length);
  const { title } = timeColumn('TIME', times, timeZone);
  const { timeColumns, actorColumns, summaryColumns } = fitColumns(seqColumns, width, title.length);
  const timeOf = (event: StoredEvent): string => {
    const text = localText(event.time, timeZone);
    return pad(timeColumns < TIME_COLUMNS ? text.slice('2026-'.length, -':00'.length) : text, timeColumns);
  };
  // The bracket is next to the seq; other columns have a gap of two.
  const line = (seq: string, cells: readonly string[]): string =>
    `${seq} ${cells.filter((cell) => cell !== '').join('  ')}`;
  const head = [pad(title, timeColumns), fitted('ACTOR', actorColumns), pad('EVENT', TYPE_COLUMNS), 'WHAT'];
  return {
    head: colors.bold(line(`${pad('SEQ', seqColumns, 'right')}  `, timeColumns === 0 ? head.slice(1) : head)),
    row: (event) =>
      line(`${pad(String(event.seq), seqColumns, 'right')} ${colors.dim(bracket(event))}`, [
        timeColumns === 0 ? '' : colors.dim(timeOf(event)),
        colors.cyan(fitted(printable(event.actor), actorColumns)),
        colors[EFFECT_COLORS[factsOf(event).effect]](pad(event.type, TYPE_COLUMNS)),
        told(event, summaryColumns, { colors, timeZone }),
      ]),
  };
}

interface FittedColumns {
  readonly timeColumns: number;
  readonly actorColumns: number;
  readonly summaryColumns: number;
}

/** When narrow, drops year and seconds, then the actor, then the time; the summary stays. */
function fitColumns(seqColumns: number, width: number | undefined, titleColumns: number): FittedColumns {
  const short = Math.max(SHORT_TIME_COLUMNS, titleColumns);
  const whole = { timeColumns: Math.max(TIME_COLUMNS, titleColumns), actorColumns: ACTOR_COLUMNS };
  if (width === undefined) return { ...whole, summaryColumns: Number.POSITIVE_INFINITY };
  const choices = [
    whole,
    { timeColumns: short, actorColumns: ACTOR_COLUMNS },
    { timeColumns: short, actorColumns: 0 },
    { timeColumns: 0, actorColumns: 0 },
  ];
  const fits = choices.map((choice) => {
    const { timeColumns, actorColumns } = choice;
    const gaps = [timeColumns, actorColumns].filter((columns) => columns > 0).length * 2 + 2;
    const summaryColumns = width - (seqColumns + ' ┌ '.length + timeColumns + actorColumns + TYPE_COLUMNS + gaps);
    return { ...choice, summaryColumns };
  });
  const chosen = fits.find(({ summaryColumns }) => summaryColumns >= LEAST_SUMMARY_COLUMNS) ?? fits.at(-1);
  return { ...whole, summaryColumns: 0, ...chosen };
}

function fitted(text: string, columns: number): string {
  return pad(truncate(text, columns), columns);
}

/** Returns the summary, then what fits of the clock's own time and the reason. */
function told(
  event: StoredEvent,
  columns: number,
  { colors, timeZone }: Pick<EventTableOptions, 'colors' | 'timeZone'>,
): string {
  const { clock, reason } = event;
  let shown = truncate(printable(eventSummary(event)), columns);
  let left = columns - displayWidth(shown);
  const add = (text: string, paint: Paint): void => {
    const part = truncate(text, left - GAP_COLUMNS);
    if (part.length < 2) return;
    shown += ' '.repeat(GAP_COLUMNS) + paint(part);
    left -= GAP_COLUMNS + displayWidth(part);
  };
  if (clock !== undefined) add(`clock ${localText(clock, timeZone)}`, colors.yellow);
  if (reason !== undefined) add(`“${printable(reason)}”`, colors.dim);
  return shown;
}

function bracket({ seq, transaction: { first, count } }: StoredEvent): string {
  if (count === 1) return ' ';
  if (seq === first) return '┌';
  return seq === first + count - 1 ? '└' : '│';
}
