import type { PrunedContent, PruneResult } from '../../store/erase.js';
import type { PruneFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { shortId, sizeText, utcText } from '../render/text.js';
import { type Column, tableLines } from '../render/table.js';
import { whenIn } from '../when.js';

const PLURALS: Readonly<Record<PrunedContent['kind'], string>> = {
  config: 'configs',
  manifest: 'manifests',
  index: 'indexes',
  blob: 'blobs',
};

/** `imagelog prune`: shows what nothing needs any more, and with `--yes` erases it. */
export async function prune(
  context: CommandContext,
  { before = 'now', yes = false, ...flags }: PruneFlags,
): Promise<void> {
  await using store = await openFor(context, yes ? 'free' : 'read');
  const { write, signal } = context;
  const result = await store.prune({ ...write, ...flags, before: whenIn(store, before), dryRun: !yes, signal });
  if (context.json) return await writeResult(context, result);
  if (context.quiet) {
    for (const { digest } of result.contents) await context.out.line(digest);
    return;
  }
  const { out } = context;
  if (result.contents.length === 0 && result.layers.length === 0) await out.line('nothing to prune');
  else await tellFreed(context, result);
  for (const name of result.damagedLogs) {
    const would =
      flags.removeDamagedLogs === true
        ? `would remove ${name}`
        : `${name}, which a rebuild put aside, may hold the same bytes: move it away, or add --remove-damaged-logs`;
    await out.line(yes ? `removed ${name}` : would);
  }
}

async function tellFreed(context: CommandContext, result: PruneResult): Promise<void> {
  const { colors, out } = context;
  const { length } = result.contents;
  if (length > 0) {
    for (const line of tableLines(columnsIn(context), result.contents.map(row), { colors, width: out.columns }))
      await out.line(line);
  }
  const kinds = (Object.keys(PLURALS) as PrunedContent['kind'][]).map((kind) => {
    const { length: count } = result.contents.filter((content) => content.kind === kind);
    return count === 0 ? '' : `${count} ${count === 1 ? kind : PLURALS[kind]}`;
  });
  const layers = result.layers.length === 0 ? '' : `layers that nothing uses: ${result.layers.length}`;
  const what = [sizeText(result.bytes), ...kinds, layers].filter((part) => part !== '').join(', ');
  await out.line(result.dryRun ? `would free ${what}; --yes does it` : `freed ${what}`);
}

async function writeResult(context: CommandContext, { contents, layers, before, ...rest }: PruneResult): Promise<void> {
  for (const { digest, kind, size, image } of contents) {
    await writeJson(context, { digest, kind, size, image: image ?? null });
  }
  const { dryRun, bytes, damagedLogs, seq } = rest;
  await writeJson(context, {
    dryRun,
    before: { seq: before.seq, time: before.seq === 0 ? null : utcText(before.time) },
    contents: contents.length,
    layers: layers.map(({ chainId }) => chainId),
    damagedLogs,
    bytes,
    seq: seq ?? null,
  });
}

function columnsIn({ colors }: CommandContext): Column[] {
  return [
    { title: 'KIND' },
    { title: 'DIGEST', shrinksTo: 19, paint: colors.yellow },
    { title: 'IMAGE', goes: 1, paint: colors.dim },
    { title: 'SIZE', align: 'right' },
  ];
}

function row({ kind, digest, image, size }: PrunedContent): string[] {
  return [kind, digest, image === undefined ? '' : shortId(image), sizeText(size)];
}
