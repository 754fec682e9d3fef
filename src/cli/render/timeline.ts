import type { ReferenceInterval } from '../query/reference-intervals.js';
import { span } from './bar.js';
import type { Colors } from './colors.js';
import { displayWidth } from './display-width.js';
import { printable } from './printable.js';
import { shortId } from './short-id.js';
import { type Column, tableLines } from './table.js';
import { durationText, localMinuteText } from './time-text.js';

/** What a time line is drawn with. */
export interface TimelineOptions {
  /** End of the line, ms since the epoch. */
  readonly now: number;
  readonly timeZone?: string | undefined;
  /** Columns of the terminal; 100 when it has no width. */
  readonly width?: number | undefined;
  readonly colors: Colors;
}

const LEAST_BAR_COLUMNS = 8;

/**
 * Returns the lines of a drawing of what a reference pointed at: a row a
 * period with its share of the time between its first setting and now, and a
 * line with the reason below it where there is one.
 */
export function timelineLines(intervals: readonly ReferenceInterval[], options: TimelineOptions): string[] {
  const { width = 100, colors } = options;
  const columns = timelineColumns(colors);
  const rows = intervals.map((interval) => cellsOf(interval, options));
  const lines = tableLines(columns, rows, { width: width - LEAST_BAR_COLUMNS - 2, colors });
  const widest = Math.max(...lines.map((line) => displayWidth(stripColors(line))));
  const barColumns = Math.min(40, Math.max(LEAST_BAR_COLUMNS, width - widest - 2));
  return [
    lines[0] ?? '',
    ...intervals.flatMap((interval, at) => {
      const line = lines[at + 1] ?? '';
      const fill = ' '.repeat(widest - displayWidth(stripColors(line)) + 2);
      const drawn = `${line}${fill}${barOf(interval, intervals, options, barColumns)}`;
      return [drawn, ...noteLines(interval, colors)];
    }),
  ];
}

function timelineColumns(colors: Colors): Column[] {
  return [
    { title: 'IMAGE', paint: colors.yellow },
    { title: 'FROM' },
    { title: 'UNTIL' },
    { title: 'FOR', align: 'right' },
    { title: 'SET BY', shrinksTo: 6, paint: colors.cyan },
  ];
}

function cellsOf(interval: ReferenceInterval, { now, timeZone }: TimelineOptions): string[] {
  const { image, from, until, actor } = interval;
  return [
    shortId(image),
    localMinuteText(from, timeZone),
    until === undefined ? 'now' : localMinuteText(until, timeZone),
    durationText(Math.max(0, (until ?? now) - from)),
    actor,
  ];
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
  return until === undefined ? colors.green(drawn) : colors.dim(drawn);
}

function noteLines({ reason, removedBy, removedReason }: ReferenceInterval, colors: Colors): string[] {
  const notes: string[] = [];
  if (reason !== undefined) notes.push(`  “${printable(reason)}”`);
  if (removedBy !== undefined) {
    const why = removedReason === undefined ? '' : `: “${printable(removedReason)}”`;
    notes.push(`  removed by ${printable(removedBy)}${why}`);
  }
  return notes.map((note) => colors.dim(note));
}

// Cells are printable, so each escape here is one of our own colours.
function stripColors(line: string): string {
  return line.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g'), '');
}
