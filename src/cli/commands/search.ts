import { InvalidArgumentError } from 'commander';
import { StoreError } from '../../errors.js';
import { hexPrefix } from '../../model/digest.js';
import type { SummaryFormat } from '../../model/event-facts.js';
import { familiarReference } from '../../model/reference.js';
import type { SearchMatch } from '../../store/past/removals.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { summaryFormat, wholeFormat } from '../../log/event-json.js';
import { openFor } from '../open-for.js';
import { option } from '../option-values.js';
import { type Column, tableLines } from '../render/table.js';
import { whyText } from '../render/timeline.js';
import { NONE, printable, utcText } from '../../model/texts.js';
import { type TimeColumn, timeColumn } from '../render/times.js';

/** `imagelog search`: a table, JSON lines, or with `--quiet` whole digests. */
export const searchGrammar: Grammar = () => ({
  about:
    'Images, manifests, indexes and artifacts; with --all also images, indexes and artifacts that were removed, with ' +
    'the names that they had last. `imagelog images --filter reference=PATTERN` searches names.',
  examples: [
    ['imagelog search cb4c', 'list what has an id that begins so'],
    ['imagelog search --all cb4c', 'also what was removed: when, by whom and why'],
    ['imagelog search --all --json cb4c', 'the same for a program; `removed.before` is where `imagelog at` has it'],
  ],
  arguments: [['the first digits of ids or digests, with or without sha256:', firstDigits]],
  options: [option('--all', 'also what was removed')],
  action: search,
});

function firstDigits(text: string): string {
  if (hexPrefix(text) !== undefined) return text;
  throw new InvalidArgumentError('It must be the first digits of an id: 0-9 and a-f, with or without sha256:.');
}

async function search(
  context: CommandContext,
  term: string,
  { all = false }: { readonly all?: boolean },
): Promise<void> {
  await using store = await openFor(context, 'read');
  const { at, colors, timeZone, json, out, quiet, trunc, signal } = context;
  const matches = await store.searchAll(term, { past: all, at, timeZone, signal });
  if (matches.length === 0) throw nothingFound(term, all);
  if (json) for (const match of matches) await writeJson(context, matchObject(match));
  else if (quiet) for (const { digest } of matches) await out.line(digest);
  else {
    const times = matches.flatMap(({ removal }) => (removal === undefined ? [] : [removal.time]));
    const removed = timeColumn('REMOVED', times, timeZone);
    const show = trunc ? summaryFormat : wholeFormat;
    const rows = matches.map((match) => matchRow(match, removed, show));
    const drawing = { width: trunc ? out.columns : undefined, colors };
    for (const line of tableLines(columnsFor(matches, { colors, removed }), rows, drawing)) await out.line(line);
  }
}

function nothingFound(term: string, all: boolean): StoreError {
  const what = all ? 'no id ever began' : 'no id begins';
  const hint = all ? 'for a name, `imagelog refs REFERENCE` shows its past' : '--all also searches what was removed';
  return new StoreError('IMAGE_NOT_FOUND', `${what} with ${term}`, { data: { id: term, hint } });
}

function matchObject({ kind, digest, references, removal }: SearchMatch): Readonly<Record<string, unknown>> {
  if (removal === undefined) return { kind, digest, references, removed: null };
  const { seq, time, actor, reason = null, requestId = null, before, erased } = removal;
  const removed = { seq, time: utcText(time), actor, reason, requestId, before, erased: erased?.seq ?? null };
  return { kind, digest, references, removed };
}

function columnsFor(
  matches: readonly SearchMatch[],
  { colors, removed }: { readonly colors: CommandContext['colors']; readonly removed: TimeColumn },
): Column[] {
  const { yellow, cyan, dim } = colors;
  const columns: Column[] = [
    { title: 'ID', paint: yellow },
    { title: 'KIND', goes: 1 },
    { title: 'REFERENCES', shrinksTo: 12 },
  ];
  if (matches.every(({ removal }) => removal === undefined)) return columns;
  return [
    ...columns,
    { title: removed.title },
    { title: 'BY', shrinksTo: 6, paint: cyan },
    { title: 'WHY', shrinksTo: 10, goes: 3 },
    { title: 'EVENT', align: 'right', goes: 2, paint: dim },
  ];
}

// A table without what was removed has no columns for it.
function matchRow(
  { kind, digest, references, removal }: SearchMatch,
  removed: TimeColumn,
  show: SummaryFormat,
): string[] {
  const names = references.map(familiarReference).join(', ');
  const own = [show.id(digest), kind, printable(names === '' ? NONE : names)];
  if (removal === undefined) return [...own, '', '', '', ''];
  const { time, actor, seq } = removal;
  return [...own, removed.minutes(time), printable(actor), whyText(removal), `#${seq}`];
}
