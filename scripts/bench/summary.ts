import type { Measured } from './benchmark.js';
import { formatNumber } from './format-number.js';
import { formatTarget, titleOf } from './report.js';
import { isMet, ratioOf } from './statistics.js';
import { TARGETS } from './targets.js';
import { type Verdict, verdictsOf } from './verdicts.js';

const NAME_COLUMN = 42;
const NUMBER_COLUMN = 14;
const NOT_JUDGED = 'nothing is judged: a verdict takes the whole sizes and at least seven rounds';

/** Input of the summary. */
export interface Summarized {
  readonly lines: readonly Measured[];
  readonly failures: readonly string[];
  /** Whether all benchmarks ran; unmeasured targets are then listed too. */
  readonly isWhole: boolean;
  readonly isJudged: boolean;
}

/** Returns the summary: targets in order with related lines, other missed targets, failed cases. */
export function formatSummary({ isJudged, ...summarized }: Summarized): string[] {
  const { failures } = summarized;
  return [
    ...(isJudged ? judgementOf(summarized) : [NOT_JUDGED]),
    ...(failures.length > 0 ? [`failed: ${failures.join(', ')}`] : []),
  ];
}

function judgementOf({ lines, isWhole }: Pick<Summarized, 'lines' | 'isWhole'>): string[] {
  const named = verdictsOf(lines);
  const measured = named.filter(({ figure }) => figure !== undefined);
  const others = lines.filter(({ target }) => target !== undefined && !isNamed(target));
  const missed = others.filter((line) => isMet(line) === false).map(titleOf);
  const met = measured.filter(isReached).length + others.length - missed.length;
  return [
    `${'target'.padEnd(NAME_COLUMN)}${'asked'.padEnd(NUMBER_COLUMN)}${'found'.padEnd(NUMBER_COLUMN)}`.trimEnd(),
    ...(isWhole ? named : measured).flatMap((verdict) => [formatVerdict(verdict), ...besidesOf(verdict, lines)]),
    `${met} of ${measured.length + others.length} targets met; ${named.length - measured.length} not measured`,
    ...(missed.length > 0 ? [`missed beside these: ${missed.join(', ')}`] : []),
  ];
}

function formatVerdict(verdict: Verdict): string {
  const { target, figure } = verdict;
  const unit = target.of === 'ratio' ? 'x' : '';
  const found = figure === undefined ? '' : `${formatNumber(figure)}${unit}`;
  const end = figure === undefined ? 'not measured' : isReached(verdict) ? 'met' : 'MISSED';
  const asked = formatTarget(target).padEnd(NUMBER_COLUMN);
  return `${target.title.padEnd(NAME_COLUMN)}${asked}${found.padEnd(NUMBER_COLUMN)}${end}`;
}

/** Ratios to other forms of the same peer, which are not judged. */
function besidesOf({ target }: Verdict, lines: readonly Measured[]): string[] {
  return lines.flatMap((line) => {
    const ratio = line.beside === target ? ratioOf(line) : undefined;
    if (ratio === undefined) return [];
    const found = `${formatNumber(ratio.median)}x`.padEnd(NUMBER_COLUMN);
    return `${`  to ${line.peer?.name}`.padEnd(NAME_COLUMN)}${''.padEnd(NUMBER_COLUMN)}${found}for information`;
  });
}

function isReached({ attainment }: Verdict): boolean {
  return attainment !== undefined && attainment >= 1;
}

function isNamed(target: Measured['target']): boolean {
  return Object.values(TARGETS).some((named) => named === target);
}
