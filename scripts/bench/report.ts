import type { Clock, Measured, Peer, Target } from './benchmark.js';
import { formatNumber, formatSize } from './format-number.js';
import { foundOf, isMet, isTooWide, judgedOf, oursOf, ratioOf, type Spread, spreadOf, valuesBy } from './statistics.js';

const NAME_COLUMN = 41;
const NUMBER_COLUMN = 17;
const CLOCK_COLUMN = 24;
const NOTE_COLUMNS = 110;

/**
 * Returns our lines with median and quartiles, by the wall and by processor time, peers with ratios
 * below, then their setup.
 */
export function formatTable(lines: readonly Measured[]): string[] {
  const table = lines.flatMap((line, index) => {
    const before = lines[index - 1];
    const isRepeated = before?.name === line.name && before.ours === line.ours && before.size === line.size;
    return [
      ...(isRepeated ? [] : [formatOurs(line)]),
      ...(line.peer === undefined ? [] : [formatPeer(line, line.peer)]),
    ];
  });
  return [...table, ...settingsOf(lines), ...repeatsOf(lines)];
}

/** Returns one line of JSON. */
export function formatJson(measured: Measured): string {
  const { name, unit, ours, peer, target, size, sizeOf, repeats } = measured;
  const byClock = <Value>(valueBy: (clock: Clock) => Value): { wall: Value; cpu: Value } => ({
    wall: valueBy('wall'),
    cpu: valueBy('cpu'),
  });
  const peerBy = (clock: Clock): Spread | undefined => {
    const values = valuesBy(clock, peer?.values ?? []);
    return values === undefined ? undefined : spreadOf(values);
  };
  return JSON.stringify({
    name,
    size,
    sizeOf,
    unit,
    ours: byClock((clock) => oursOf(measured, clock)),
    peer: peer === undefined ? undefined : { name: peer.name, settings: peer.settings, ...byClock(peerBy) },
    ratio: peer === undefined ? undefined : byClock((clock) => ratioOf(measured, clock)),
    rounds: ours.length,
    repeats,
    target,
    met: isMet(measured),
    tooWide: target === undefined ? undefined : isTooWide(measured),
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

/** Formats a number and the quartiles of its rounds: 0.951x [0.93–0.97]. */
function formatRange(figure: number, { quartiles: [lower, upper] }: Spread, unit = ''): string {
  return `${formatNumber(figure)}${unit} [${formatNumber(lower)}–${formatNumber(upper)}]`;
}

/** Formats what a target is about, by `clock`; empty if the line has no such number. */
export function formatFound(measured: Measured, { of }: Target, clock: Clock): string {
  const found = foundOf(measured, of, clock);
  return found === undefined ? '' : formatRange(found.figure, found.range, of === 'ratio' ? 'x' : '');
}

function formatOurs(measured: Measured): string {
  const wall = oursOf(measured);
  const cpu = oursOf(measured, 'cpu');
  return columns(
    titleOf(measured),
    wall === undefined ? '' : `${formatNumber(wall.median)} ${measured.unit}`,
    wall === undefined ? '' : formatRange(wall.median, wall).replace(/^\S+ /, ''),
    cpu === undefined ? '' : `CPU ${formatRange(cpu.median, cpu)}`,
    measured.target?.of === 'ours' ? verdictOf(measured) : '',
  );
}

function formatPeer(measured: Measured, { name, values }: Peer): string {
  const wall = valuesBy('wall', values);
  const [ratio, cpu] = [ratioOf(measured), ratioOf(measured, 'cpu')];
  const shown = (range: Spread): string => formatRange(range.median, range, 'x');
  return columns(
    `  to ${name}`,
    wall === undefined ? '' : `${formatNumber(spreadOf(wall).median)} ${measured.unit}`,
    ratio === undefined ? '' : shown(ratio),
    cpu === undefined ? '' : `CPU ${shown(cpu)}`,
    measured.target?.of === 'ratio' ? verdictOf(measured) : '',
  );
}

function columns(name: string, number: string, wall: string, cpu: string, verdict: string): string {
  // A long name uses the space of the following columns, seldom full.
  const named = `${name.padEnd(NAME_COLUMN)} ${number}`.padEnd(NAME_COLUMN + 1 + NUMBER_COLUMN);
  return `${named} ${wall.padEnd(CLOCK_COLUMN)} ${cpu.padEnd(CLOCK_COLUMN)} ${verdict}`.trimEnd();
}

function verdictOf(measured: Measured): string {
  const { target } = measured;
  if (target === undefined) return '';
  const judged = judgedOf(measured);
  const missed = judged.filter((each) => !each.isMet).map(({ clock }) => (clock === 'cpu' ? 'CPU' : clock));
  const verdict = missed.length === 0 ? 'met' : missed.length === judged.length ? 'MISSED' : `MISSED (${missed[0]})`;
  return `${formatTarget(target)} ${verdict}`;
}

function settingsOf(lines: readonly Measured[]): string[] {
  const settings = lines.flatMap(({ peer }) => (peer?.settings === undefined ? [] : `${peer.name}: ${peer.settings}`));
  return [...new Set(settings)].flatMap(wrapped);
}

/** Says what was measured again, and what is too wide still. */
function repeatsOf(lines: readonly Measured[]): string[] {
  const repeats = lines.reduce((most, line) => Math.max(most, line.repeats ?? 0), 0);
  if (repeats === 0) return [];
  const wide = [...new Set(lines.filter(isTooWide).map(titleOf))];
  const still = wide.length === 0 ? 'narrow enough now' : `too wide still: ${wide.join('; ')}`;
  return wrapped(
    `measured ${repeats} more ${repeats === 1 ? 'time' : 'times'}, because a range was too wide; ${still}`,
  );
}

function wrapped(note: string): string[] {
  return (
    note.match(new RegExp(`\\S.{0,${NOTE_COLUMNS}}(?=\\s|$)`, 'g'))?.map((part, index) => {
      return `${index === 0 ? '  ' : '    '}${part}`;
    }) ?? []
  );
}
