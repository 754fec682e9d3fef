import type { Option } from 'commander';
import type { PrunedContent, PruneResult } from '../../store/erase.js';
import type { When } from '../../store/past/audit.js';
import type { Grammar } from '../command.js';
import { answer, type CommandContext, writeJson } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { openFor } from '../open-for.js';
import { pruneFilter } from '../image-filter.js';
import { digestText, option, pointInTime, repeated, WHEN_HELP } from '../option-values.js';
import { layerIds } from '../query.js';
import { progressBar } from '../render/progress.js';
import { type Column, tableLines } from '../render/table.js';
import { countText, shortId, sizeText, utcText } from '../../model/texts.js';

interface EraseFlags {
  readonly removeDamagedLogs?: boolean;
}

/** `imagelog erase`: permanently removes the bytes of one digest and logs it. */
export const eraseGrammar: Grammar = () => ({
  about:
    'Of a config, a manifest, an index or a layer that nothing in the store needs: remove its images first. ' +
    'The bytes leave the disk and cannot be recovered, also from ' +
    'the past; that they existed stays in the log and can be proved. Needs --reason. ' +
    'Refused while a damaged log exists that may contain the bytes too.',
  examples: [
    [
      'imagelog erase --reason "leaked" sha256:6351c87e3f654b3b79dd7d970a728b2bdb406143e60999400ba4be02e1c0a16e',
      'erase the config of an image that was removed',
    ],
    [
      'imagelog erase --actor ana --reason "ticket 7" sha256:6351c87e3f654b3b79dd7d970a728b2bdb406143e60999400ba4be02e1c0a16e',
      'record who asked for it; `imagelog log --type ContentErased` shows it',
    ],
  ],
  arguments: [['the whole digest, with sha256:', digestText]],
  options: [removeDamagedLogsOption()],
  action: erase,
});

async function erase(context: CommandContext, digest: string, { removeDamagedLogs }: EraseFlags): Promise<void> {
  const { reason, ...write } = context.write;
  if (reason === undefined || reason.trim() === '') {
    throw new UsageError('erase needs --reason TEXT: the log keeps it in place of the bytes');
  }
  await using store = await openFor(context, 'free');
  const { size, layers, damagedLogs, seq } = await store.erase(digest, reason, { ...write, removeDamagedLogs });
  const removed = layers.length === 0 ? '' : `, and ${countText(layers.length, 'layer')} that nothing used`;
  const erased = `erased ${context.colors.yellow(digest)}, ${sizeText(size)}${removed} (event ${seq})`;
  const lines = [erased, ...damagedLogs.map((name) => `removed ${name}`)].join('\n');
  await answer(context, { erased: digest, size, ...layerIds(layers), damagedLogs, seq }, lines);
}

interface PruneFlags extends EraseFlags {
  readonly before?: When;
  readonly filter?: readonly string[];
  readonly yes?: boolean;
}

/** `imagelog prune`: lists unneeded content; `--yes` erases it. */
export const pruneGrammar: Grammar = ({ io }) => ({
  about:
    'Shows the configs, manifests and indexes of images and artifacts that were removed, and layers that nothing uses. Only with --yes are they ' +
    'erased, as `imagelog erase` does. What was needed after WHEN stays, so that the past from there on stays readable; by ' +
    `default all goes that is not needed now. ${WHEN_HELP}\n\n` +
    'With --filter only configs and manifests of removed images that match: label and label! (NAME or NAME=VALUE), ' +
    'reference and reference! (a pattern, of every name that the image ever had), until (created before this time). ' +
    'All must match; only patterns of reference are alternatives. Layers, indexes and artifacts then stay.',
  examples: [
    ['imagelog prune', 'show what is no longer needed, and free nothing'],
    ['imagelog prune --before 30d --yes', 'free what nothing has needed for 30 days'],
    ["imagelog prune --filter 'reference!=*:prod' --filter until=30d", 'keep what was ever prod, and what is younger'],
    ['imagelog prune --json | jq -s "map(.size // 0) | add"', 'count the bytes'],
  ],
  options: [
    option('--before <when>', 'what was needed after this point in time stays', pointInTime(io)),
    option('--filter <key=value>', 'only of removed images that match; may be repeated', repeated),
    option('--yes', 'do it'),
    removeDamagedLogsOption(),
  ],
  action: prune,
});

const PLURALS: Readonly<Record<PrunedContent['kind'], string>> = {
  config: 'configs',
  manifest: 'manifests',
  index: 'indexes',
  artifact: 'artifacts',
  blob: 'blobs',
};

async function prune(
  context: CommandContext,
  { before = 'now', yes = false, filter: filters = [], removeDamagedLogs }: PruneFlags,
): Promise<void> {
  const { write, signal, timeZone, io } = context;
  const filter = pruneFilter(filters, { nowMs: io.now(), timeZone });
  await using store = await openFor(context, yes ? 'free' : 'read');
  const progress = progressBar(context, 'prune, events', String);
  let result: PruneResult;
  try {
    const options = { ...write, removeDamagedLogs, filter, before, timeZone, dryRun: !yes, signal };
    result = await store.prune({ ...options, onProgress: progress.update });
  } finally {
    progress.end();
  }
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
      removeDamagedLogs === true
        ? `would remove ${name}`
        : `${name}, which a rebuild set aside, may contain the same bytes: move it away, or add --remove-damaged-logs`;
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
    ...layerIds(layers),
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

function removeDamagedLogsOption(): Option {
  return option(
    '--remove-damaged-logs',
    'also remove damaged logs that `imagelog rebuild` set aside; they may contain the same bytes',
  );
}
