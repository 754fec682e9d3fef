import type { Digest } from '../../model/digest.js';
import { pointedText } from '../../log/event-json.js';
import type { SummaryFormat } from '../../model/event-facts.js';
import type { PullCount } from '../../store/registry-store.js';
import type { ReferencePeriod } from '../query.js';
import { displayWidth, pad, truncate } from './display-width.js';
import { countText, durationText, printable, routeText } from '../../model/texts.js';
import type { Colors, Paint } from './text.js';
import { familiarReference } from '../../model/reference.js';
import { type Column, tableLines } from './table.js';
import { timeColumn, zonedMinuteText, zonedText } from './times.js';

/** How a reference period is drawn everywhere. */
interface PeriodLook {
  readonly name: string;
  /** Fill character (one column) that tells periods apart without colors. */
  readonly fill: string;
  readonly paint: Paint;
}

const CURRENT_FILL = '█';
const OTHER_FILLS = ['▓', '░', '▒'] as const;
const GAP_FILL = '·';

/**
 * Returns the look of each period. An image always looks the same, so that returns are visible. The
 * final image is the solid one; every other new one differs from its neighbor.
 */
function periodLooks(
  periods: readonly ReferencePeriod[],
  { colors, show }: Pick<TimelineOptions, 'colors' | 'show'>,
): PeriodLook[] {
  const gap: PeriodLook = { name: 'removed', fill: GAP_FILL, paint: colors.dim };
  const others = [colors.yellow, colors.magenta, colors.cyan].map((paint, at) => ({
    paint,
    fill: OTHER_FILLS[at] ?? '',
  }));
  const looks = new Map<Digest, PeriodLook>();
  const last = periods.at(-1);
  const current = pointOf(last);
  if (current !== undefined) looks.set(current, { name: nameOf(last, show), fill: CURRENT_FILL, paint: colors.green });
  let next = 0;
  let before: PeriodLook | undefined;
  return periods.map((period) => {
    const point = pointOf(period);
    if (point === undefined) return gap;
    const known = looks.get(point);
    if (known !== undefined) {
      before = known;
      return known;
    }
    if (others[next % others.length]?.fill === before?.fill) next += 1;
    const style = others[next++ % others.length] ?? gap;
    const look = { ...style, name: nameOf(period, show) };
    looks.set(point, look);
    before = look;
    return look;
  });
}

/** Returns the image or artifact a reference pointed at. */
function pointOf(period: ReferencePeriod | undefined): Digest | undefined {
  return period?.image ?? period?.artifact;
}

function nameOf(period: ReferencePeriod | undefined, show: SummaryFormat): string {
  return pointedText(period?.image, period?.artifact, show);
}

interface StripPiece {
  readonly durationMs: number;
  readonly label: string;
}

// Fewer id digits distinguish nothing.
const LEAST_LABEL_COLUMNS = 5;

interface Strip {
  readonly places: readonly { readonly start: number; readonly end: number }[];
  /** Label of each piece, cut to fit; empty if there is no room. */
  readonly labels: readonly string[];
}

/** Divides `columns` in proportion, at least one each if possible: a second shows by a year. */
export function layOutStrip(pieces: readonly StripPiece[], columns: number): Strip {
  const ends = endsOf(pieces, columns);
  const places = ends.map((end, at) => ({ start: ends[at - 1] ?? 0, end }));
  return { places, labels: pieces.map(({ label }, at) => labelIn(label, places[at])) };
}

function endsOf(pieces: readonly StripPiece[], columns: number): number[] {
  const total = pieces.reduce((sum, { durationMs }) => sum + durationMs, 0);
  let elapsed = 0;
  const ends = pieces.map(({ durationMs }, at) => {
    elapsed += durationMs;
    // A zero-length life is divided evenly.
    return Math.round((total === 0 ? (at + 1) / pieces.length : elapsed / total) * columns);
  });
  if (pieces.length > columns) return ends;
  // A forward pass gives each a column; a backward pass makes all fit.
  for (let at = 0; at < ends.length; at++) ends[at] = Math.max(ends[at] ?? 0, (ends[at - 1] ?? 0) + 1);
  for (let at = ends.length - 1; at >= 0; at--) {
    ends[at] = Math.min(ends[at] ?? 0, (ends[at + 1] ?? columns + 1) - 1);
  }
  return ends;
}

function labelIn(label: string, place: { readonly start: number; readonly end: number } | undefined): string {
  // One column stays free to separate labels.
  const room = place === undefined ? 0 : place.end - place.start - 1;
  return room < LEAST_LABEL_COLUMNS ? '' : label.slice(0, room);
}

interface TimelineOptions {
  /** End of the line, milliseconds since the epoch. */
  readonly now: number;
  /** Whether that end is the present, and labeled so. */
  readonly isPresent: boolean;
  readonly timeZone: string;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly colors: Colors;
  readonly show: SummaryFormat;
  /** How often it was pulled, if it ever was. */
  readonly pulls?: PullCount | undefined;
}

/** Strip width without a limit, and the maximum: longer strips are hard to take in. */
const USUAL_STRIP_COLUMNS = 80;
const MOST_STRIP_COLUMNS = 100;
/** On narrower terminals the reasons need the room. */
const LEAST_COLUMNS_WITH_EVENTS = 100;
/** For lives shorter than this, minutes alone cannot tell moments apart. */
const SECONDS_MATTER_MS = 2 * 60_000;

/**
 * Draws the life of a reference: target, since when, by whom and why; all periods on one strip;
 * then a row per period, newest first. `periods` are oldest first, at least one.
 */
export function timelineLines(
  reference: string,
  periods: readonly ReferencePeriod[],
  options: TimelineOptions,
): string[] {
  const drawing: Drawing = {
    ...options,
    // The clock may be behind the newest event; the line then ends at the event.
    end: periods.reduce((end, { from }) => Math.max(end, from), options.now),
    ...timesOf(periods, options),
    looks: periodLooks(periods, options),
  };
  return [
    ...headLines(printable(familiarReference(reference)), periods, drawing),
    ...pullLines(drawing),
    '',
    ...stripLines(periods, drawing),
    '',
    ...rowLines(periods, drawing),
  ];
}

interface Drawing extends TimelineOptions {
  readonly end: number;
  readonly time: (timeMs: number) => string;
  /** Like `time`, with the zone. */
  readonly zoned: (timeMs: number) => string;
  /** Title of the column of `time`. */
  readonly since: string;
  readonly looks: readonly PeriodLook[];
}

function timesOf(
  periods: readonly ReferencePeriod[],
  { timeZone }: TimelineOptions,
): Pick<Drawing, 'time' | 'zoned' | 'since'> {
  const isShort = periods.some(({ from, until }) => until !== undefined && until - from < SECONDS_MATTER_MS);
  const column = timeColumn(
    'SINCE',
    periods.map(({ from }) => from),
    timeZone,
  );
  const zoned = (timeMs: number): string => (isShort ? zonedText : zonedMinuteText)(timeMs, timeZone);
  return { time: isShort ? column.seconds : column.minutes, zoned, since: column.title };
}

/** Returns the target at the end of the line: since when, by whom, and why. */
function headLines(name: string, periods: readonly ReferencePeriod[], drawing: Drawing): string[] {
  const { width = Number.POSITIVE_INFINITY, colors, zoned, end, looks } = drawing;
  const last = periods.at(-1);
  const look = looks.at(-1);
  if (last === undefined || look === undefined) return [colors.bold(truncate(name, width))];
  const stands = ` → ${pointOf(last) === undefined ? 'nothing' : look.name}`;
  const lasts = `, for ${durationText(Math.max(0, end - last.from))}`;
  const shown = truncate(name, Math.max(1, width - displayWidth(stands + lasts)));
  const why = whyText(last);
  const colon = last.reason === undefined && last.requestId === undefined ? '' : ':';
  const since = `${pointOf(last) === undefined ? 'removed' : 'since'} ${zoned(last.from)}, by ${printable(last.actor)}${colon}`;
  const lines = [
    colors.bold(shown) + look.paint(stands) + lasts,
    ...(why === '' || displayWidth(`${since} ${why}`) <= width ? [`${since} ${why}`.trimEnd()] : [since, why]),
  ];
  return [lines[0] ?? '', ...lines.slice(1).map((line) => truncate(line, width))];
}

/** Pulls are counted by the hour. */
function pullLines({ pulls, timeZone }: Drawing): string[] {
  if (pulls === undefined) return [];
  const last = zonedMinuteText(pulls.lastHour, timeZone);
  return [`pulled ${countText(pulls.pulls, 'time')}, the last in the hour from ${last}`];
}

function stripLines(periods: readonly ReferencePeriod[], { width, looks, end, ...drawing }: Drawing): string[] {
  const columns = Math.min(width ?? USUAL_STRIP_COLUMNS, MOST_STRIP_COLUMNS);
  const pieces = periods.map((period, at) => ({
    durationMs: Math.max(0, (period.until ?? end) - period.from),
    label: pointOf(period) === undefined ? '' : (looks[at]?.name ?? ''),
  }));
  const { places, labels } = layOutStrip(pieces, columns);
  const painted = (text: string, at: number): string => (text === '' ? '' : (looks[at]?.paint ?? same)(text));
  const names = labels
    .map((label, at) => painted(label, at) + ' '.repeat(lengthOf(places[at]) - label.length))
    .join('');
  const line = looks.map(({ fill }, at) => painted(fill.repeat(lengthOf(places[at])), at)).join('');
  return [
    ...(labels.every((label) => label === '') ? [] : [names.trimEnd()]),
    line,
    drawing.colors.dim(axis(periods, columns, { ...drawing, width, looks, end })),
  ];
}

function axis(periods: readonly ReferencePeriod[], columns: number, { time, end, isPresent }: Drawing): string {
  const first = time(periods[0]?.from ?? end);
  const last = isPresent ? 'now' : time(end);
  const room = columns - displayWidth(first);
  return room < last.length + 2 ? pad(last, columns, 'right') : first + pad(last, room, 'right');
}

function rowLines(periods: readonly ReferencePeriod[], { colors, width, looks, end, time, since }: Drawing): string[] {
  const hasWhy = periods.some((period) => whyText(period) !== '');
  const hasEvents = width === undefined || width >= LEAST_COLUMNS_WITH_EVENTS;
  const paints = new Map<string, Paint>();
  const rows = periods.map(({ from, until, seq, actor, ...period }, at) => {
    const look = looks[at];
    const others = period.others === 0 ? '' : ` +${period.others}`;
    const first = `${look?.fill ?? ''} ${look?.name ?? ''}${others}`;
    paints.set(first, look?.paint ?? same);
    const lasts = durationText(Math.max(0, (until ?? end) - from));
    return [first, time(from), lasts, actor, ...(hasWhy ? [whyText(period)] : []), ...(hasEvents ? [`#${seq}`] : [])];
  });
  const columns: Column[] = [
    { title: '  IMAGE', paint: (text) => (paints.get(text) ?? same)(text) },
    { title: since, goes: 1 },
    { title: 'FOR', align: 'right' },
    { title: 'BY', shrinksTo: 6, goes: 2, paint: colors.cyan },
    ...(hasWhy ? [{ title: 'WHY', shrinksTo: 12, goes: 3 }] : []),
    ...(hasEvents ? [{ title: 'EVENT', align: 'right', paint: colors.dim } as const] : []),
  ];
  return tableLines(columns, rows.reverse(), { width, colors });
}

/** Returns reason, request id and route of a period, escaped; empty without any of them. */
export function whyText({
  reason,
  requestId,
  ...route
}: Pick<ReferencePeriod, 'reason' | 'requestId' | 'via' | 'address'>): string {
  const how = routeText(route);
  const parts = [
    ...(reason === undefined ? [] : [`“${printable(reason)}”`]),
    ...(requestId === undefined ? [] : [`(${printable(requestId)})`]),
    ...(how === '' ? [] : [how]),
  ];
  return parts.join(' ');
}

function lengthOf(place: { readonly start: number; readonly end: number } | undefined): number {
  return place === undefined ? 0 : place.end - place.start;
}

function same(text: string): string {
  return text;
}
