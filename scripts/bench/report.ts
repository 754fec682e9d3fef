import type { Measured, Peer, Target } from './benchmark.js';
import { formatNumber, formatSize } from './format-number.js';
import { isMet, ratioOf, spreadOf, type Spread } from './statistics.js';

const NAME_COLUMN = 42;
const NUMBER_COLUMN = 16;
const SPREAD_COLUMN = 21;
const NOTE_COLUMNS = 95;

/** Returns our lines with median and spread, peers with ratios below, then their setup. */
export function formatTable(lines: readonly Measured[]): string[] {
  const table = lines.flatMap((line, index) => {
    const before = lines[index - 1];
    const isRepeated = before?.name === line.name && before.ours === line.ours && before.size === line.size;
    return [
      ...(isRepeated ? [] : [formatOurs(line)]),
      ...(line.peer === undefined ? [] : [formatPeer(line, line.peer)]),
    ];
  });
  return [...table, ...settingsOf(lines)];
}

/** Returns one line of JSON. */
export function formatJson(measured: Measured): string {
  const { name, unit, ours, peer, target, size, sizeOf } = measured;
  return JSON.stringify({
    name,
    size,
    sizeOf,
    unit,
    ours: spreadOf(ours),
    peer: peer === undefined ? undefined : { name: peer.name, settings: peer.settings, ...spreadOf(peer.values) },
    ratio: ratioOf(measured),
    rounds: ours.length,
    target,
    met: isMet(measured),
  });
}

/** Formats a target for the tables. */
export function formatTarget({ of, bound, value }: Target): string {
  return `${bound === 'at least' ? '>=' : '<='} ${formatNumber(value)}${of === 'ratio' ? 'x' : ''}`;
}

/** Returns the name of a line with its size. */
export function titleOf({ name, size }: Measured): string {
  return size === undefined ? name : `${name} (${formatSize(size)})`;
}

function formatOurs(measured: Measured): string {
  const spread = spreadOf(measured.ours);
  const verdict = measured.target?.of === 'ours' ? verdictOf(measured) : '';
  return columns(titleOf(measured), `${formatNumber(spread.median)} ${measured.unit}`, formatSpread(spread), verdict);
}

function formatPeer(measured: Measured, { name, values }: Peer): string {
  const ratio = ratioOf(measured);
  const verdict = measured.target?.of === 'ratio' ? verdictOf(measured) : '';
  return columns(
    `  to ${name}`,
    `${formatNumber(spreadOf(values).median)} ${measured.unit}`,
    ratio === undefined ? '' : `${formatNumber(ratio.median)}x ${formatSpread(ratio)}`,
    verdict,
  );
}

function columns(name: string, number: string, spread: string, verdict: string): string {
  // A long name uses the space of the following columns, seldom full.
  const named = `${name.padEnd(NAME_COLUMN)} ${number}`.padEnd(NAME_COLUMN + 1 + NUMBER_COLUMN);
  return `${named} ${spread.padEnd(SPREAD_COLUMN)} ${verdict}`.trimEnd();
}

function verdictOf(measured: Measured): string {
  const { target } = measured;
  return target === undefined ? '' : `${formatTarget(target)} ${isMet(measured) === true ? 'met' : 'MISSED'}`;
}

function settingsOf(lines: readonly Measured[]): string[] {
  const settings = lines.flatMap(({ peer }) => (peer?.settings === undefined ? [] : `${peer.name}: ${peer.settings}`));
  return [...new Set(settings)].flatMap(wrapped);
}

function wrapped(note: string): string[] {
  return (
    note.match(new RegExp(`\\S.{0,${NOTE_COLUMNS}}(?=\\s|$)`, 'g'))?.map((part, index) => {
      return `${index === 0 ? '  ' : '    '}${part}`;
    }) ?? []
  );
}

function formatSpread({ min, max }: Spread): string {
  return `[${formatNumber(min)}–${formatNumber(max)}]`;
}
