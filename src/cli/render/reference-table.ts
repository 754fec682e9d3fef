import { pointedText } from '../../log/event-texts.js';
import type { SummaryFormat } from '../../model/event-facts.js';
import type { ReferencePeriod } from '../query.js';
import { familiarReference } from '../../model/reference.js';
import { truncate } from './display-width.js';
import { type Column, tableLines } from './table.js';
import { durationText } from '../../model/texts.js';
import type { Colors } from './text.js';
import { whyText } from './timeline.js';
import { timeColumn } from './times.js';

interface ReferenceTableOptions {
  /** End of the last periods, milliseconds since the epoch. */
  readonly now: number;
  readonly timeZone: string;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly colors: Colors;
  readonly show: SummaryFormat;
}

/** On narrower terminals the reason goes below its row. */
const LEAST_COLUMNS_WITH_REASONS = 110;

/** Returns a table with a row for each period of each reference, the newest first. */
export function referenceTableLines(
  lives: ReadonlyMap<string, readonly ReferencePeriod[]>,
  { now, timeZone, width, colors, show }: ReferenceTableOptions,
): string[] {
  const isWide = width === undefined || width >= LEAST_COLUMNS_WITH_REASONS;
  const periods = [...lives].flatMap(([reference, own]) =>
    own.map((period) => ({ ...period, name: familiarReference(reference) })).reverse(),
  );
  const hasWhy = isWide && periods.some((period) => whyText(period) !== '');
  const since = timeColumn(
    'SINCE',
    periods.map(({ from }) => from),
    timeZone,
  );
  const rows = periods.map((period) => [
    period.name,
    targetText(period, show),
    since.minutes(period.from),
    durationText(Math.max(0, (period.until ?? Math.max(now, period.from)) - period.from)),
    period.actor,
    ...(hasWhy ? [whyText(period)] : []),
    ...(isWide ? [`#${period.seq}`] : []),
  ]);
  const columns: Column[] = [
    { title: 'REFERENCE', shrinksTo: 16 },
    { title: 'IMAGE', shrinksTo: 12, paint: (text) => (text === REMOVED ? colors.dim(text) : text) },
    { title: since.title },
    { title: 'FOR', align: 'right' },
    { title: 'BY', shrinksTo: 8, goes: 1, paint: colors.cyan },
    ...(hasWhy ? [{ title: 'WHY', shrinksTo: 12 }] : []),
    ...(isWide ? [{ title: 'EVENT', align: 'right', paint: colors.dim } as const] : []),
  ];
  const [head = '', ...lines] = tableLines(columns, rows, { width, colors });
  const told = lines.flatMap((line, at) => {
    const period = periods[at];
    const why = isWide || period === undefined ? '' : whyText(period);
    return why === '' || width === undefined ? [line] : [line, colors.dim(truncate(`  ${why}`, width))];
  });
  return [head, ...told];
}

const REMOVED = 'removed';

function targetText({ image, artifact, others }: ReferencePeriod, show: SummaryFormat): string {
  if (image === undefined && artifact === undefined) return REMOVED;
  return `${pointedText(image, artifact, show)}${others === 0 ? '' : ` +${others}`}`;
}
