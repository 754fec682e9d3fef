import type { BuildStep } from '../query/build-steps.js';
import { bar } from './bar.js';
import type { ImageDrawing } from './image-table.js';
import { imageSizeText } from './image-table.js';
import { type Column, tableLines } from './table.js';
import { localMinuteText } from './time-text.js';

const BAR_COLUMNS = 8;

/** Returns a table of build steps in the order given, with a bar for the share of each in the whole size. */
export function historyTableLines(steps: readonly BuildStep[], { colors, width, timeZone }: ImageDrawing): string[] {
  const total = steps.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const hasComments = steps.some(({ comment }) => comment !== '');
  const columns: Column[] = [
    { title: 'CREATED', goes: 1 },
    { title: 'CREATED BY', shrinksTo: 16 },
    { title: 'SIZE', align: 'right' },
    { title: '', paint: colors.green, goes: 2 },
    ...(hasComments ? [{ title: 'COMMENT', shrinksTo: 8, goes: 3, paint: colors.dim }] : []),
  ];
  const rows = steps.map((step) => [
    step.created === null ? '<none>' : localMinuteText(step.created, timeZone),
    commandText(step.createdBy),
    imageSizeText(step),
    total === 0 ? '' : bar((step.size ?? 0) / total, BAR_COLUMNS),
    ...(hasComments ? [step.comment] : []),
  ]);
  return tableLines(columns, rows, { width, colors });
}

// Builders write every step as a shell command with many spaces; one line shows what it does.
function commandText(createdBy: string): string {
  return createdBy
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^\/bin\/sh -c /, 'RUN ')
    .replace(/\s+/g, ' ')
    .trim();
}
