import { readFile, writeFile } from 'node:fs/promises';
import type { Clock, Measured } from './benchmark.js';
import { formatMachine, type Machine } from './machine.js';
import { formatFound, formatTarget } from './report.js';
import { type Verdict, verdictsOf } from './verdicts.js';

/** Lines of a page between which a run puts its table. */
const BEGIN = '<!-- the table below is written by npm run bench -- --markdown -->';
const END = '<!-- the table above is written by npm run bench -- --markdown -->';

/** Begins the title of a row that is not judged, below the one that is. */
const BESIDE = '· ';
/** Before a number whose range is too wide. */
const WIDE = '~';

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
  const kept = rowsByTarget(old);
  const rows = verdictsOf(lines).flatMap((verdict) => {
    if (verdict.judged.length === 0) return kept.get(verdict.target.title) ?? [];
    const besides = lines.filter((line) => line.beside === verdict.target);
    return [rowOf(verdict), ...besides.flatMap(besideRow)];
  });
  return [
    'Medians, and the quartiles of the rounds; bold misses the target, and after ~ the quartiles are too far apart',
    'to rely on. A run replaces the rows that it measures.',
    '',
    `- ${formatMachine('before', before)}`,
    `- ${formatMachine('after', after)}`,
    '',
    '| what | target | wall | CPU |',
    '|---|---:|---:|---:|',
    ...rows,
  ];
}

/** Returns the rows of a table by the title of their target, each with those of other peers. */
function rowsByTarget(table: string): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  let last: string[] = [];
  for (const row of table.split('\n')) {
    const title = /^\| (.+?) \|/.exec(row)?.[1];
    if (title === undefined) continue;
    if (title.startsWith(BESIDE)) {
      last.push(row);
    } else {
      last = [row];
      rows.set(title, last);
    }
  }
  return rows;
}

function rowOf({ target, line, judged }: Verdict): string {
  const cell = (clock: Clock): string => {
    const found = line === undefined ? '' : formatFound(line, target, clock);
    const each = judged.find((one) => one.clock === clock);
    const marked = each?.isTooWide ? `${WIDE}${found}` : found;
    return each === undefined || each.isMet ? marked : `**${marked}**`;
  };
  const asked = formatTarget(target).replace('>=', '≥').replace('<=', '≤');
  const by = target.by === 'cpu' ? ', CPU' : '';
  return `| ${target.title} | ${asked}${by} | ${cell('wall')} | ${cell('cpu')} |`;
}

/** The row of a peer that is not judged, below the one that is. */
function besideRow(line: Measured): string[] {
  const { peer, beside } = line;
  if (peer === undefined || beside === undefined) return [];
  return [
    `| ${BESIDE}to ${peer.name} | | ${formatFound(line, beside, 'wall')} | ${formatFound(line, beside, 'cpu')} |`,
  ];
}
