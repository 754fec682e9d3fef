import type { When } from '../../store/audit/audit.js';
import type { PrunedContent, PruneResult } from '../../store/erase/erasing.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { shortId } from '../render/short-id.js';
import { sizeText } from '../render/size-text.js';
import { type Column, tableLines } from '../render/table.js';
import { utcText } from '../render/time-text.js';
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
  { before = 'now', yes = false }: { readonly before?: When; readonly yes?: boolean },
): Promise<void> {
  await using store = await openFor(context, yes ? 'free' : 'read');
  const { write, signal } = context;
  const result = await store.prune({ ...write, before: whenIn(store, before), dryRun: !yes, signal });
  if (context.json) return await writeResult(context, result);
  if (context.quiet) {
    for (const { digest } of result.contents) await context.out.line(digest);
    return;
  }
  const { length } = result.contents;
  if (length === 0 && result.layers.length === 0) return await context.out.line('nothing to prune');
  const { colors, out } = context;
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
  await out.line(yes ? `freed ${what}` : `would free ${what}; --yes does it`);
}

async function writeResult(context: CommandContext, { contents, layers, before, ...rest }: PruneResult): Promise<void> {
  for (const { digest, kind, size, image } of contents) {
    await writeJson(context, { digest, kind, size, image: image ?? null });
  }
  const { dryRun, bytes, seq } = rest;
  await writeJson(context, {
    dryRun,
    before: { seq: before.seq, time: before.seq === 0 ? null : utcText(before.time) },
    contents: contents.length,
    layers: layers.map(({ chainId }) => chainId),
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
