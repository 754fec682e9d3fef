import type { Clock, Measured } from './benchmark.js';
import { formatFound, formatTarget, titleOf } from './report.js';
import { isMet } from './statistics.js';
import { TARGETS } from './targets.js';
import { type Verdict, verdictsOf } from './verdicts.js';

const NAME_COLUMN = 47;
const ASKED_COLUMN = 14;
const FOUND_COLUMN = 25;
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
  const measured = named.filter(({ judged }) => judged.length > 0);
  const others = lines.filter(({ target }) => target !== undefined && !isNamed(target));
  const missed = others.filter((line) => isMet(line) === false).map(titleOf);
  const met = measured.filter(isReached).length + others.length - missed.length;
  return [
    row('target', 'asked', 'wall [quartiles]', 'CPU [quartiles]', ''),
    ...(isWhole ? named : measured).flatMap((verdict) => [formatVerdict(verdict), ...besidesOf(verdict, lines)]),
    `${met} of ${measured.length + others.length} targets met; ${named.length - measured.length} not measured`,
    ...(missed.length > 0 ? [`missed beside these: ${missed.join(', ')}`] : []),
  ];
}

function formatVerdict(verdict: Verdict): string {
  const { target, line, judged } = verdict;
  const found = (clock: Clock): string => (line === undefined ? '' : formatFound(line, target, clock));
  const end = judged.length === 0 ? 'not measured' : isReached(verdict) ? 'met' : 'MISSED';
  const width = judged.some(({ isTooWide }) => isTooWide) ? ', too wide' : '';
  return row(target.title, formatTarget(target), found('wall'), found('cpu'), `${end}${width}`);
}

/** Ratios to other forms of the same peer, which are not judged. */
function besidesOf({ target }: Verdict, lines: readonly Measured[]): string[] {
  return lines.flatMap((line) => {
    if (line.beside !== target || line.peer === undefined) return [];
    const found = (clock: Clock): string => formatFound(line, target, clock);
    return row(`  to ${line.peer.name}`, '', found('wall'), found('cpu'), 'for information');
  });
}

function row(title: string, asked: string, wall: string, cpu: string, end: string): string {
  const cells = [title.padEnd(NAME_COLUMN), asked.padEnd(ASKED_COLUMN)];
  return [...cells, wall.padEnd(FOUND_COLUMN), cpu.padEnd(FOUND_COLUMN), end].join('').trimEnd();
}

function isReached({ judged }: Verdict): boolean {
  return judged.length > 0 && judged.every((each) => each.isMet);
}

function isNamed(target: Measured['target']): boolean {
  return Object.values(TARGETS).some((named) => named === target);
}
