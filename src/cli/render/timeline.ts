import type { ReferenceInterval } from '../query/reference-intervals.js';
import { span } from './bar.js';
import type { Colors } from './colors.js';
import { displayWidth, pad, truncate } from './display-width.js';
import { printable } from './printable.js';
import { shortId } from './short-id.js';
import { type Column, tableLines } from './table.js';
import { durationText, localMinuteText, localText } from './time-text.js';

/** What a time line is drawn with. */
export interface TimelineOptions {
  /** End of the line, ms since the epoch. */
  readonly now: number;
  readonly timeZone?: string | undefined;
  /** Columns of the terminal; undefined when lines may have any length. */
  readonly width?: number | undefined;
  readonly colors: Colors;
}

const LEAST_BAR_COLUMNS = 8;
const MOST_BAR_COLUMNS = 40;
const GAP_COLUMNS = 2;
/** Below this length of time the minutes do not tell one moment from another. */
const SECONDS_MATTER_MS = 2 * 60_000;

/**
 * Returns the lines of a drawing of what a reference pointed at: a row a
 * period with its share of the time between its first setting and now, and a
 * line with the reason below it where there is one.
 */
export function timelineLines(intervals: readonly ReferenceInterval[], options: TimelineOptions): string[] {
  const { width, colors } = options;
  const time = timeFormat(intervals, options);
  const rows = intervals.map((interval) => cellsOf(interval, options.now, time));
  const lines = tableLines(timelineColumns(colors), rows, {
    width: width === undefined ? undefined : width - LEAST_BAR_COLUMNS - GAP_COLUMNS,
    colors,
  });
  const widest = Math.max(...lines.map((line) => displayWidth(stripColors(line))));
  const barColumns = Math.min(
    MOST_BAR_COLUMNS,
    Math.max(LEAST_BAR_COLUMNS, (width ?? Number.POSITIVE_INFINITY) - widest - GAP_COLUMNS),
  );
  const beside = (line: string, drawing: string): string =>
    `${line}${' '.repeat(widest - displayWidth(stripColors(line)) + GAP_COLUMNS)}${drawing}`;
  return [
    beside(lines[0] ?? '', axisOf(barColumns, colors)),
    ...intervals.flatMap((interval, at) => [
      beside(lines[at + 1] ?? '', barOf(interval, intervals, options, barColumns)),
      ...noteLines(interval, colors, width ?? Number.POSITIVE_INFINITY),
    ]),
  ];
}

function timelineColumns(colors: Colors): Column[] {
  return [
    { title: 'IMAGE', paint: colors.yellow },
    { title: 'FROM', goes: 1 },
    { title: 'UNTIL', goes: 3 },
    { title: 'FOR', align: 'right' },
    { title: 'SET BY', shrinksTo: 6, goes: 2, paint: colors.cyan },
  ];
}

type TimeFormat = (timeMs: number) => string;

function timeFormat(intervals: readonly ReferenceInterval[], { now, timeZone }: TimelineOptions): TimeFormat {
  const isShort = intervals.some(({ from, until }) => (until ?? now) - from < SECONDS_MATTER_MS && until !== undefined);
  return (timeMs) => (isShort ? localText(timeMs, timeZone) : localMinuteText(timeMs, timeZone));
}

function cellsOf({ image, from, until, actor }: ReferenceInterval, now: number, time: TimeFormat): string[] {
  return [
    shortId(image),
    time(from),
    until === undefined ? 'now' : time(until),
    durationText(Math.max(0, (until ?? now) - from)),
    actor,
  ];
}

/** The head over the bars: which end of the line is which, where both words have room. */
function axisOf(columns: number, colors: Colors): string {
  const start = columns < 'first  now'.length ? '' : 'first';
  return colors.bold(start + pad('now', columns - start.length, 'right'));
}

function barOf(
  { from, until }: ReferenceInterval,
  intervals: readonly ReferenceInterval[],
  { now, colors }: TimelineOptions,
  columns: number,
): string {
  const begin = intervals[0]?.from ?? from;
  // A clock may stand before the newest event: the line then ends there.
  const end = Math.max(now, ...intervals.map((each) => each.until ?? each.from));
  const length = Math.max(1, end - begin);
  const drawn = span((from - begin) / length, ((until ?? end) - begin) / length, columns);
  return until === undefined ? colors.green(drawn) : drawn;
}

function noteLines({ reason, removedBy, removedReason }: ReferenceInterval, colors: Colors, width: number): string[] {
  const notes: string[] = [];
  if (reason !== undefined) notes.push(`  “${printable(reason)}”`);
  if (removedBy !== undefined) {
    const why = removedReason === undefined ? '' : `: “${printable(removedReason)}”`;
    notes.push(`  removed by ${printable(removedBy)}${why}`);
  }
  return notes.map((note) => colors.dim(truncate(note, width)));
}

// Cells are printable, so each escape here is one of our own colours.
function stripColors(line: string): string {
  return line.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g'), '');
}
