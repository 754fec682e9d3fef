import { readFile, writeFile } from 'node:fs/promises';
import type { Clock, Measured } from './benchmark.js';
import { formatMachine, type Machine } from './machine.js';
import { formatRange, formatTarget } from './report.js';
import { ratioOf, type Judged } from './statistics.js';
import { verdictsOf } from './verdicts.js';

/** Lines of a page between which a run puts its table. */
const BEGIN = '<!-- the table below is written by npm run bench -- --markdown -->';
const END = '<!-- the table above is written by npm run bench -- --markdown -->';

/** A run that was judged. */
export interface Run {
  readonly lines: readonly Measured[];
  readonly before: Machine;
  readonly after: Machine;
}

/**
 * Replaces the table of the page at `path`. Rows of targets that this run did not measure stay.
 * @throws {Error} if the page has not both marks
 */
export async function updatePage(path: string, run: Run): Promise<void> {
  const page = await readFile(path, 'utf8');
  await writeFile(path, withTable(page, run));
}

/** Returns `page` with the table of `run` between its marks. */
export function withTable(page: string, run: Run): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error(`the page needs the lines ${BEGIN} and ${END}`);
  const old = page.slice(begin + BEGIN.length, end);
  return `${page.slice(0, begin)}${BEGIN}\n\n${formatMarkdown(run, old).join('\n')}\n\n${page.slice(end)}`;
}

function formatMarkdown({ lines, before, after }: Run, old: string): string[] {
  const kept = new Map(old.split('\n').map((row) => [row.split(' | ')[0] ?? '', row]));
  const rows = verdictsOf(lines).flatMap(({ target, judged }) => {
    const title = `| ${target.title}`;
    const unit = target.of === 'ratio' ? 'x' : '';
    const cell = (clock: Clock): string =>
      cellOf(
        judged.find((each) => each.clock === clock),
        unit,
      );
    const besides = lines.flatMap((line) => (line.beside === target ? besideRow(line) : []));
    if (judged.length > 0)
      return [`${title} | ${targetCell(formatTarget(target))} | ${cell('wall')} | ${cell('cpu')} |`, ...besides];
    const row = kept.get(title);
    return row === undefined ? [] : [row];
  });
  return [
    'Median, and the quartiles of the rounds; bold misses the target. A run replaces the rows that it measures.',
    '',
    `- ${formatMachine('before', before)}`,
    `- ${formatMachine('after', after)}`,
    '',
    '| what | target | wall | CPU |',
    '|---|---:|---:|---:|',
    ...rows,
  ];
}

/** The row of a peer that is not judged, below the one that is. */
function besideRow(line: Measured): string[] {
  const cell = (clock: Clock): string => {
    const ratio = ratioOf(line, clock);
    return ratio === undefined ? '' : formatRange(ratio.ofMedians, ratio.ofRounds, 'x');
  };
  return line.peer === undefined ? [] : [`| · to ${line.peer.name} | | ${cell('wall')} | ${cell('cpu')} |`];
}

function cellOf(judged: Judged | undefined, unit: string): string {
  if (judged === undefined) return '';
  const found = formatRange(judged.figure, judged.range, unit);
  return judged.isMet ? found : `**${found}**`;
}

function targetCell(target: string): string {
  return target.replace('>=', '≥').replace('<=', '≤');
}
