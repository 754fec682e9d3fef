import type { Measured, Target } from './benchmark.js';
import { isMet, ratioOf, spreadOf, type Spread } from './statistics.js';

const GROWTH_COLUMN = 18;

/** Returns one line of the report for people. */
export function formatLine(measured: Measured): string {
  const { unit, ours, peer, target } = measured;
  const ratio = ratioOf(measured);
  const parts = [
    titleOf(measured).padEnd(46),
    `${formatNumber(spreadOf(ours).median)} ${unit}`.padEnd(22),
    peer === undefined ? formatSpread(spreadOf(ours)).padEnd(46) : formatPeer(measured, peer).padEnd(46),
    (ratio === undefined ? '' : `x ${formatNumber(ratio.median)} ${formatSpread(ratio)}`).padEnd(26),
    (target === undefined ? 'for information' : formatTarget(target)).padEnd(20),
    verdict(measured),
  ];
  return parts.join('').trimEnd();
}

/** Returns one line of the report for programs: one JSON object. */
export function formatJson(measured: Measured): string {
  const { name, unit, ours, peer, target, size } = measured;
  return JSON.stringify({
    name,
    size,
    unit,
    ours: spreadOf(ours),
    peer: peer === undefined ? undefined : { name: peer.name, ...spreadOf(peer.values) },
    ratio: ratioOf(measured),
    rounds: ours.length,
    target,
    met: isMet(measured),
  });
}

/** Returns the summary: how many targets were met, and which were not. */
export function formatSummary(lines: readonly Measured[], failures: readonly string[]): string {
  const judged = lines.filter(({ target }) => target !== undefined);
  const missed = judged.filter((line) => isMet(line) === false).map(titleOf);
  const parts = [`${judged.length - missed.length} of ${judged.length} targets met`];
  if (missed.length > 0) parts.push(`missed: ${missed.join(', ')}`);
  if (failures.length > 0) parts.push(`failed: ${failures.join(', ')}`);
  return parts.join('; ');
}

/**
 * Returns the lines of a table that shows how the lines of several sizes grow: the median at each size, or the ratio to the
 * peer for a line that is judged by it. None when nothing was measured at more than one size.
 */
export function formatGrowth(lines: readonly Measured[]): string[] {
  const sizes = [...new Set(lines.flatMap(({ size }) => size ?? []))].sort((a, b) => a - b);
  if (sizes.length < 2) return [];
  const names = [...new Set(lines.filter(({ size }) => size !== undefined).map(({ name }) => name))];
  const rows = names.map((name) => {
    const cells = sizes.map((size) => {
      const line = lines.find((each) => each.name === name && each.size === size);
      return (line === undefined ? '' : formatGrown(line)).padStart(GROWTH_COLUMN);
    });
    return `${name.padEnd(46)}${cells.join('')}`;
  });
  const heading = sizes.map((size) => formatNumber(size).padStart(GROWTH_COLUMN)).join('');
  return [`${'growth, by events in the log'.padEnd(46)}${heading}`, ...rows, ''];
}

function formatGrown(measured: Measured): string {
  const ratio = measured.target?.of === 'ours' ? undefined : ratioOf(measured);
  if (ratio !== undefined) return `x ${formatNumber(ratio.median)}`;
  return `${formatNumber(spreadOf(measured.ours).median)} ${measured.unit}`;
}

function titleOf({ name, size }: Measured): string {
  return size === undefined ? name : `${name} (${formatNumber(size)})`;
}

function verdict(measured: Measured): string {
  const met = isMet(measured);
  if (met === undefined) return '';
  return met ? 'met' : 'MISSED';
}

function formatPeer({ unit }: Measured, peer: { readonly name: string; readonly values: readonly number[] }): string {
  return `${peer.name} ${formatNumber(spreadOf(peer.values).median)} ${unit}`;
}

function formatSpread({ min, max }: Spread): string {
  return `[${formatNumber(min)}–${formatNumber(max)}]`;
}

function formatTarget({ of, bound, value }: Target): string {
  return `${of === 'ratio' ? 'x ' : ''}${bound === 'at least' ? '>=' : '<='} ${formatNumber(value)}`;
}

function formatNumber(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
}
