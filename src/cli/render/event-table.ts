import { factsOf, eventTypes } from '../../model/event-table.js';
import type { StoredEvent } from '../../model/events.js';
import { displayWidth, pad } from './display-width.js';
import { flow } from './flow.js';
import { printable } from '../../model/texts.js';
import {
  ACTOR_COLUMNS,
  circumstances,
  GAP,
  LEAST_COLUMNS_WITH_ACTORS,
  type LogDrawing,
  TIME_COLUMNS,
} from './transaction-lines.js';
import { timeColumn } from './times.js';

/** An event table printed entry by entry; its widths are fixed before any event is known. */
export interface EventTable {
  readonly head: string;
  /**
   * One event, on as many lines as it needs; `names` are canonical references that it took from a
   * deleted image.
   */
  readonly entry: (event: StoredEvent, names: readonly string[]) => string;
}

const TYPE_COLUMNS = eventTypes.reduce((most, { length }) => Math.max(most, length), 0);
const BRACKET_COLUMNS = 2;
const EFFECT_COLORS = { adds: 'green', changes: 'yellow', removes: 'red' } as const;

/** Returns a table with brackets around transactions, and reasons after the summaries. */
export function eventTable(drawing: LogDrawing): EventTable {
  const { colors, width, timeZone, times, largestSeq, show, reverse = false } = drawing;
  const seqColumns = Math.max('SEQ'.length, String(largestSeq).length);
  const hasActors = width === undefined || width >= LEAST_COLUMNS_WITH_ACTORS;
  const gap = ' '.repeat(GAP);
  const time = timeColumn('TIME', times, timeZone);
  const timeColumns = Math.max(TIME_COLUMNS, displayWidth(time.title));
  const timeStart = seqColumns + BRACKET_COLUMNS + 1;
  const typeColumn = timeStart + timeColumns + GAP;
  const actor = hasActors ? [pad('ACTOR', ACTOR_COLUMNS)] : [];
  // The bracket is next to the seq; other columns have a gap of two.
  const head = [pad(time.title, timeColumns), ...actor, pad('EVENT', TYPE_COLUMNS), 'WHAT'].join(gap);
  return {
    head: colors.bold(`${pad('SEQ', seqColumns, 'right')}   ${head}`),
    entry: (event, names) => {
      const who = printable(event.actor);
      const when = pad(time.seconds(event.time), timeColumns);
      // A time that clocks showed twice names its zone: the actor's column gives way.
      const excess = displayWidth(when) - timeColumns;
      const whoColumns = hasActors ? Math.max(ACTOR_COLUMNS, displayWidth(who) + excess) + GAP : 0;
      const gapAfterTime = hasActors ? 0 : excess;
      const [mark, below] = brackets(event, reverse);
      const type = colors[EFFECT_COLORS[factsOf(event).effect]](event.type);
      const cells = [colors.dim(when), ...(hasActors ? [] : [type])];
      const start = `${pad(String(event.seq), seqColumns, 'right')} ${colors.dim(mark)} ${cells.join(gap)}`;
      const shown = hasActors
        ? `${start}${gap}${colors.cyan(who)}${' '.repeat(whoColumns - excess - displayWidth(who))}${type}`
        : start;
      const indentColumns = hasActors ? typeColumn + whoColumns + TYPE_COLUMNS + GAP : timeStart;
      const phrases = [
        ...summaryPhrases(event, names, {
          show,
          gap: Math.max(GAP, TYPE_COLUMNS - event.type.length + GAP - gapAfterTime),
        }),
        ...(hasActors ? [] : [{ text: `by ${who}`, gap: GAP, paint: colors.cyan }]),
        ...circumstances(event, { colors, timeZone }),
      ];
      return flow(phrases, {
        start: shown,
        startColumns: typeColumn + gapAfterTime + whoColumns + event.type.length,
        indent: `${' '.repeat(seqColumns)} ${colors.dim(below)}${' '.repeat(indentColumns - seqColumns - BRACKET_COLUMNS)}`,
        indentColumns,
        width,
      });
    },
  };
}

function summaryPhrases(
  event: StoredEvent,
  names: readonly string[],
  { show, gap }: Pick<LogDrawing, 'show'> & { readonly gap: number },
): { text: string; gap: number }[] {
  const summary = { text: printable(factsOf(event).summary(event, show)), gap };
  const last = names.length - 1;
  const had = names.map((name, at) => {
    const text = `${at === 0 ? '(names: ' : ''}${show.reference(name)}${at === last ? ')' : ','}`;
    return { text: printable(text), gap: 1 };
  });
  return [summary, ...had];
}

/** The bracket of the event's first line, and of further lines. */
function brackets({ seq, transaction: { first, count } }: StoredEvent, reverse: boolean): readonly [string, string] {
  if (count === 1) return [' ', ' '];
  const last = first + count - 1;
  if (seq === (reverse ? last : first)) return ['┌', '│'];
  return seq === (reverse ? first : last) ? ['└', ' '] : ['│', '│'];
}
