import type { StoredEvent } from '../../model/events.js';
import { changeKinds, type StoreChange } from '../store-changes.js';
import { type Colors, localMinuteText, type Paint, printable, truncate } from './text.js';
import { type Column, tableLines } from './table.js';

/** What changes are drawn with. */
interface DiffDrawing {
  readonly colors: Colors;
  /** Columns of the terminal; undefined when lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone?: string | undefined;
}

const MARKS = { added: '+', removed: '−', changed: '~' } as const;

/** On a narrower terminal the reason stands below its row. */
const LEAST_COLUMNS_WITH_REASONS = 100;
/** A metadata value may be long, and has a place of its own in `log`. */
const MOST_SIDE_COLUMNS = 28;

const TITLES: Readonly<Record<StoreChange['kind'], string>> = {
  reference: 'References',
  image: 'Images',
  parent: 'Parents',
  metadata: 'Metadata',
  layer: 'Layers',
};

/** Returns changes as one table with a heading for each kind, and who made each, when and why; nothing for no changes. */
export function diffLines(changes: readonly StoreChange[], { colors, width, timeZone }: DiffDrawing): string[] {
  const isWide = width === undefined || width >= LEAST_COLUMNS_WITH_REASONS;
  const columns: Column[] = [
    { title: '', shrinksTo: 14, paint: (text) => paintOf(text, colors)(text) },
    { title: '', goes: 1 },
    { title: '', goes: 2 },
    { title: '', shrinksTo: 6, goes: 3, paint: colors.cyan },
    ...(isWide ? [{ title: '', shrinksTo: 12, paint: colors.dim }] : []),
  ];
  const rows = changes.map(({ change, name, event, ...sides }) => [
    `${MARKS[change]} ${name}`,
    sidesText(sides),
    localMinuteText(event.time, timeZone),
    event.actor,
    ...(isWide ? [reasonText(event)] : []),
  ]);
  const [, ...lines] = tableLines(columns, rows, { width, colors });
  return changeKinds.flatMap((kind) => {
    const own = changes.flatMap((change, at) => {
      const why = isWide || change.kind !== kind ? '' : truncate(printable(reasonText(change.event)), width - 2);
      return change.kind === kind ? [lines[at] ?? '', ...(why === '' ? [] : [colors.dim(`  ${why}`)])] : [];
    });
    return own.length === 0 ? [] : [colors.bold(TITLES[kind]), ...own];
  });
}

function reasonText({ reason }: StoredEvent): string {
  return reason === undefined ? '' : `“${reason}”`;
}

function sidesText({ before, after }: Pick<StoreChange, 'before' | 'after'>): string {
  const [was, is] = [before, after].map((side) => truncate(printable(side?.text ?? ''), MOST_SIDE_COLUMNS));
  if (before === undefined || after === undefined) return `${was}${is}`;
  // The same image by another manifest, the same layer in another file.
  return before.text === after.text ? `${is}, in another form` : `${was} → ${is}`;
}

function paintOf(text: string, colors: Colors): Paint {
  if (text.startsWith(MARKS.added)) return colors.green;
  return text.startsWith(MARKS.removed) ? colors.red : colors.yellow;
}
