import { changeKinds, type StoreChange } from '../query/store-changes.js';
import type { Colors, Paint } from './colors.js';
import { type Column, tableLines } from './table.js';
import { localMinuteText } from './time-text.js';

/** What changes are drawn with. */
export interface DiffDrawing {
  readonly colors: Colors;
  /** Columns of the terminal; undefined when lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone?: string | undefined;
}

const MARKS = { added: '+', removed: '−', changed: '~' } as const;

const TITLES: Readonly<Record<StoreChange['kind'], string>> = {
  reference: 'References',
  image: 'Images',
  parent: 'Parents',
  metadata: 'Metadata',
  layer: 'Layers',
};

/** Returns changes as one table with a heading for each kind, and who made each, when and why; nothing for no changes. */
export function diffLines(changes: readonly StoreChange[], { colors, width, timeZone }: DiffDrawing): string[] {
  const columns: Column[] = [
    { title: '', shrinksTo: 14, paint: (text) => paintOf(text, colors)(text) },
    { title: '', shrinksTo: 12, goes: 4 },
    { title: '', goes: 2 },
    { title: '', shrinksTo: 6, goes: 3, paint: colors.cyan },
    { title: '', shrinksTo: 12, goes: 5, paint: colors.dim },
  ];
  const rows = changes.map(({ change, name, event, ...sides }) => [
    `${MARKS[change]} ${name}`,
    sidesText(sides),
    localMinuteText(event.time, timeZone),
    event.actor,
    event.reason === undefined ? '' : `“${event.reason}”`,
  ]);
  const [, ...lines] = tableLines(columns, rows, { width, colors });
  return changeKinds.flatMap((kind) => {
    const own = lines.filter((_, at) => changes[at]?.kind === kind);
    return own.length === 0 ? [] : [colors.bold(TITLES[kind]), ...own];
  });
}

function sidesText({ before, after }: Pick<StoreChange, 'before' | 'after'>): string {
  if (before === undefined || after === undefined) return (after ?? before)?.text ?? '';
  // The same image by another manifest, the same layer in another file.
  return before.text === after.text ? `${after.text}, in another form` : `${before.text} → ${after.text}`;
}

function paintOf(text: string, colors: Colors): Paint {
  if (text.startsWith(MARKS.added)) return colors.green;
  return text.startsWith(MARKS.removed) ? colors.red : colors.yellow;
}
