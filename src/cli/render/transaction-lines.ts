import type { SummaryFormat, Verb } from '../../model/event-facts.js';
import type { StoredEvent } from '../../model/events.js';
import { displayWidth, pad, truncate } from './display-width.js';
import { flow, painted, type Phrase } from './flow.js';
import { localTimeText } from '../../model/time-zone.js';
import { printable, routeText } from '../../model/texts.js';
import type { Colors } from './text.js';
import { timeColumn, zonedMinuteText } from './times.js';
import { summarizeTransaction, type TransactionTally } from '../../log/transaction-summary.js';

/** How lines of the log are drawn. */
export interface LogDrawing {
  readonly colors: Colors;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone: string;
  /** Times that have every name of the zone among the events. */
  readonly times: Iterable<number>;
  readonly largestSeq: number;
  readonly show: SummaryFormat;
  /** Whether the newest comes first. */
  readonly reverse?: boolean | undefined;
}

/** A table printed entry by entry; its widths are fixed before any entry is known. */
export interface TransactionTable {
  readonly head: string;
  /** One transaction, on as many lines as it needs. */
  readonly entry: (tally: TransactionTally) => string;
}

/** Least width of the columns of times, and of actors. */
export const TIME_COLUMNS = '2026-01-31 14:05:09'.length;
export const ACTOR_COLUMNS = 14;
/** On narrower terminals the actor follows what was done, instead of having a column. */
export const LEAST_COLUMNS_WITH_ACTORS = 100;
/** Columns between two columns. */
export const GAP = 2;

/** Returns a table of transactions; SEQ is that of the last event, which is what `--at` takes. */
export function transactionTable({ colors, width, timeZone, times, largestSeq, show }: LogDrawing): TransactionTable {
  const seqColumns = Math.max('SEQ'.length, String(largestSeq).length);
  const hasActors = width === undefined || width >= LEAST_COLUMNS_WITH_ACTORS;
  const time = timeColumn('TIME', times, timeZone);
  const timeColumns = Math.max(TIME_COLUMNS, displayWidth(time.title));
  const whatColumn = seqColumns + GAP + timeColumns + GAP + (hasActors ? ACTOR_COLUMNS + GAP : 0);
  const indentColumns = hasActors ? whatColumn : seqColumns + GAP;
  const head = [
    pad('SEQ', seqColumns, 'right'),
    pad(time.title, timeColumns),
    pad('BY', hasActors ? ACTOR_COLUMNS : 0),
  ];
  return {
    head: colors.bold([...head.slice(0, hasActors ? 3 : 2), 'WHAT'].join(' '.repeat(GAP))),
    entry: (tally) => {
      const { last } = tally;
      if (last === undefined) return '';
      const actor = printable(last.actor);
      const when = pad(time.seconds(last.time), timeColumns);
      const parts = [
        pad(String(last.seq), seqColumns, 'right'),
        colors.dim(when),
        ...(hasActors ? [colors.cyan(actor)] : []),
      ];
      // A time that clocks showed twice names its zone, and is longer than its column.
      const startColumns = seqColumns + GAP + displayWidth(when) + (hasActors ? GAP + displayWidth(actor) : 0);
      const [first, ...rest] = sentence(tally, { colors, show });
      const phrases = [
        ...(first === undefined ? [] : [{ ...first, gap: Math.max(GAP, whatColumn - startColumns) }]),
        ...rest,
        ...(hasActors ? [] : [{ text: `by ${actor}`, gap: GAP, paint: colors.cyan }]),
        ...circumstances(last, { colors, timeZone }),
      ];
      const start = parts.join(' '.repeat(GAP));
      return flow(phrases, { start, startColumns, indent: ' '.repeat(indentColumns), indentColumns, width });
    },
  };
}

/** Returns a formatter of transactions on one line each, cut to the width. */
export function transactionLine(drawing: LogDrawing): TransactionTable['entry'] {
  const { colors, width, timeZone, largestSeq, show } = drawing;
  const seqColumns = String(largestSeq).length;
  return (tally) => {
    const { last } = tally;
    if (last === undefined) return '';
    const phrases = [
      { text: pad(String(last.seq), seqColumns, 'right'), gap: 0 },
      { text: zonedMinuteText(last.time, timeZone), gap: 1, paint: colors.dim },
      { text: printable(last.actor), gap: 1, paint: colors.cyan },
      ...sentence(tally, { colors, show }),
      ...circumstances(last, { colors, timeZone }),
    ];
    return cutLine(phrases, width);
  };
}

function cutLine(phrases: readonly Phrase[], width: number | undefined): string {
  let line = '';
  let left = width ?? 0;
  for (const { text, gap, ...paints } of phrases) {
    const between = Math.min(1, gap);
    const part = width === undefined ? text : truncate(text, left - between);
    if (part === '') break;
    line += ' '.repeat(between) + painted(part, paints);
    if (part !== text) break;
    if (width !== undefined) left -= between + displayWidth(part);
  }
  return line;
}

function sentence(tally: TransactionTally, { colors, show }: Pick<LogDrawing, 'colors' | 'show'>): Phrase[] {
  const { verb, phrases } = summarizeTransaction(tally, show);
  const paintVerb = colors[VERB_COLORS[verb]];
  const [first = '', ...rest] = phrases;
  return [
    { text: printable(first), gap: 1, paintFirst: paintVerb },
    ...rest.map((phrase) => ({ text: printable(phrase), gap: 1 })),
  ];
}

/** When the clock was behind, why, the request, and from where: what stands after what was done. */
export function circumstances(
  { clock, reason, requestId, ...event }: StoredEvent,
  { colors, timeZone }: Pick<LogDrawing, 'colors' | 'timeZone'>,
): Phrase[] {
  const phrases: Phrase[] = [];
  if (clock !== undefined)
    phrases.push({ text: `clock ${localTimeText(clock, timeZone)}`, gap: GAP, paint: colors.yellow });
  if (reason !== undefined) phrases.push({ text: `“${printable(reason)}”`, gap: GAP, paint: colors.dim });
  if (requestId !== undefined) phrases.push({ text: `(${printable(requestId)})`, gap: GAP, paint: colors.dim });
  const route = routeText(event);
  if (route !== '') phrases.push({ text: route, gap: GAP, paint: colors.dim });
  return phrases;
}

/** Colors of what adds, changes and removes. */
const VERB_COLORS = {
  load: 'green',
  tag: 'yellow',
  set: 'yellow',
  rm: 'red',
  erase: 'red',
  untag: 'red',
  clear: 'red',
} as const satisfies Readonly<Record<Verb, keyof Colors>>;
