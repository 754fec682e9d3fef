import type { Measured } from './benchmark.js';
import { formatNumber, formatSize } from './format-number.js';
import { oursOf, ratioOf } from './statistics.js';

const NAME_COLUMN = 42;
const GROWTH_COLUMN = 16;

/** Returns a table per unit of size, with medians, or judged ratios, at several sizes. */
export function formatGrowth(lines: readonly Measured[]): string[] {
  return (['events', 'images'] as const).flatMap((sizeOf) => {
    const sized = lines.filter((line) => line.size !== undefined && (line.sizeOf ?? 'events') === sizeOf);
    return tableOf(sized, sizeOf);
  });
}

function tableOf(lines: readonly Measured[], sizeOf: string): string[] {
  const sizes = [...new Set(lines.flatMap(({ size }) => size ?? []))].sort((a, b) => a - b);
  if (sizes.length < 2) return [];
  const names = [...new Set(lines.map(({ name }) => name))];
  const rows = names.map((name) => {
    const cells = sizes.map((size) => {
      const line = lines.find((each) => each.name === name && each.size === size);
      return (line === undefined ? '' : formatGrown(line)).padStart(GROWTH_COLUMN);
    });
    return `${name.padEnd(NAME_COLUMN)}${cells.join('')}`;
  });
  const heading = sizes.map((size) => formatSize(size).padStart(GROWTH_COLUMN)).join('');
  return [`${`growth, by ${sizeOf} in the store`.padEnd(NAME_COLUMN)}${heading}`, ...rows, ''];
}

function formatGrown(measured: Measured): string {
  const ratio = measured.target?.of === 'ours' ? undefined : ratioOf(measured);
  if (ratio !== undefined) return `${formatNumber(ratio.median)}x`;
  return `${formatNumber(oursOf(measured)?.median ?? Number.NaN)} ${measured.unit}`;
}
