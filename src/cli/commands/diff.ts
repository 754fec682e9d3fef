import { isStoreError } from '../../errors.js';
import type { StoredEvent } from '../../model/events.js';
import { familiarReference } from '../../model/reference.js';
import type { ReferenceEntry } from '../../store/store.js';
import type { When } from '../../store/past/audit.js';
import type { StoreDiff } from '../../store/past/diff.js';
import type { Change } from '../../store/past/diff.js';
import type { Grammar } from '../command.js';
import { type CommandContext, isForPeople, writeJson } from '../context.js';
import { artifactTypeText } from '../../model/event-facts.js';
import { UsageError } from '../exit-codes.js';
import { metadataFields, metadataText, pointedText } from '../../log/event-json.js';
import { openFor } from '../open-for.js';
import { NOW, option, pointInTime, WHEN_HELP } from '../option-values.js';
import { csvRow } from '../../model/csv.js';
import { truncate } from '../render/display-width.js';
import { type Column, tableLines } from '../render/table.js';
import { platformText, printable, shortId, sizeText, utcText } from '../../model/texts.js';
import { type Colors, jsonText, type Paint } from '../render/text.js';
import { whyText } from '../render/timeline.js';
import { timeColumn, zonedMinuteText } from '../render/times.js';

/** `imagelog diff`: changes between two points in time, by kind; `--json` prints one per line. */
export const diffGrammar: Grammar = ({ io }) => ({
  about:
    `What was added (+), removed (−) or changed (~), with the event that did it. Changes that were undone in between are not shown. ` +
    WHEN_HELP,
  examples: [
    ['imagelog diff 2h', 'what changed in the last two hours'],
    ['imagelog diff 2026-01-30 2026-01-31', 'what changed on the 31st'],
    ['imagelog diff @1200 @1260', 'what 60 events changed'],
    ['imagelog diff 1w --format csv', 'the changes of a week for a spreadsheet'],
    ['imagelog diff --json 1d | jq -r "select(.kind == \\"reference\\").key"', 'the names that moved since yesterday'],
  ],
  arguments: [
    ['the earlier WHEN', pointInTime(io)],
    ['the later WHEN, by default now', pointInTime(io)],
  ],
  options: [option('--format <format>', 'table, one JSON object a line, or CSV').choices(['table', 'json', 'csv'])],
  paged: () => true,
  action: diff,
});

interface DiffFlags {
  readonly format?: 'table' | 'json' | 'csv';
}

async function diff(context: CommandContext, from: When, to: When = NOW, flags: DiffFlags = {}): Promise<void> {
  await using store = await openFor(context, 'read');
  const { out, err, colors, errColors, timeZone, signal } = context;
  const between = await store.diff(from, to, { timeZone, signal }).catch((error: unknown) => {
    throw isStoreError(error, 'TIME_OUT_OF_RANGE') && 'from' in error.data ? new UsageError(error.message) : error;
  });
  const changes = changesOf(between);
  if (!context.quiet) {
    const point = ({ seq, time }: typeof between.from): string =>
      seq === 0 ? 'the beginning' : `event ${seq}, ${zonedMinuteText(time, timeZone)}`;
    await err.line(errColors.dim(`from ${point(between.from)}, to ${point(between.to)}`));
  }
  const format = flags.format ?? (context.json ? 'json' : 'table');
  if (format === 'csv') {
    await out.line(csvRow(CSV_COLUMNS));
    for (const change of changes) await out.line(changeRow(change));
    return;
  }
  if (format === 'json') {
    for (const change of changes) await writeJson(context, changeObject(change));
    return;
  }
  if (isForPeople(context) && changes.length === 0) await err.line('nothing is different');
  for (const line of diffLines(changes, { colors, width: out.columns, timeZone })) await out.line(line);
}

function changeObject({ kind, change, key, before, after, event }: StoreChange): Readonly<Record<string, unknown>> {
  return {
    kind,
    change,
    key,
    before: before?.value ?? null,
    after: after?.value ?? null,
    seq: event.seq,
    time: utcText(event.time),
    actor: event.actor,
    reason: event.reason ?? null,
    requestId: event.requestId ?? null,
  };
}

/** Columns of CSV: the fields of the JSON; a value of several fields is JSON. */
const CSV_COLUMNS = [
  'kind',
  'change',
  'key',
  'before',
  'after',
  'seq',
  'time',
  'actor',
  'reason',
  'requestId',
] as const;

function changeRow(change: StoreChange): string {
  const { kind, key, before, after, event } = change;
  const { seq, time, actor, reason, requestId } = event;
  const sides = [before, after].map((side) => (side === undefined ? undefined : cellOf(side.value)));
  return csvRow([kind, change.change, key, ...sides, seq, utcText(time), actor, reason, requestId]);
}

function cellOf(value: unknown): string {
  return typeof value === 'string' ? value : jsonText(value);
}

/** Kinds of changes, in print order. */
const changeKinds = ['reference', 'image', 'artifact', 'parent', 'metadata', 'layer'] as const;

/** One side of a change, for programs (`value`) and people (`text`). */
interface ChangeSide {
  readonly value: unknown;
  readonly text: string;
}

interface StoreChange {
  readonly kind: (typeof changeKinds)[number];
  readonly change: Change<unknown>['change'];
  /** Unique within its kind: a reference, an image id, the digest of an artifact, `<image id>/<metadata key>`, a chain id. */
  readonly key: string;
  readonly name: string;
  readonly before?: ChangeSide | undefined;
  readonly after?: ChangeSide | undefined;
  /** The last event that changed it. */
  readonly event: StoredEvent;
}

function changesOf({ references, images, artifacts, parents, metadata, layers }: StoreDiff): StoreChange[] {
  return [
    ...references.map((change) =>
      told('reference', change, change.reference, familiarReference(change.reference), referenceSide),
    ),
    ...images.map((change) => {
      const { event } = change;
      const platform = event.type === 'ImageCreated' ? platformText({ ...event, variant: event.variant ?? null }) : '';
      return told('image', change, change.image, shortId(change.image), (value) => ({ value, text: platform }));
    }),
    ...artifacts.map((change) =>
      told('artifact', change, change.artifact, shortId(change.artifact), (entry) => ({
        value: { ...entry.artifact, artifactType: entry.artifactType, subject: entry.subject?.digest ?? null },
        text: artifactTypeText(entry),
      })),
    ),
    ...parents.map((change) =>
      told('parent', change, change.image, shortId(change.image), (value) => ({ value, text: shortId(value) })),
    ),
    ...metadata.map((change) =>
      told('metadata', change, `${change.image}/${change.key}`, `${shortId(change.image)} ${change.key}`, (bytes) => ({
        value: metadataFields(bytes),
        text: metadataText(bytes) ?? sizeText(bytes.length),
      })),
    ),
    ...layers.map((change) =>
      told('layer', change, change.chainId, shortId(change.chainId), ({ chainId, diffId, size, diffSize }) => ({
        value: { chainId, diffId, size, diffSize },
        text: sizeText(diffSize),
      })),
    ),
  ];
}

function told<Value>(
  kind: StoreChange['kind'],
  { change, before, after, event }: Change<Value>,
  key: string,
  name: string,
  sideOf: (value: Value) => ChangeSide,
): StoreChange {
  const side = (value: Value | undefined): ChangeSide | undefined => (value === undefined ? undefined : sideOf(value));
  return { kind, change, key, name, before: side(before), after: side(after), event };
}

function referenceSide({ image, target, platforms }: ReferenceEntry): ChangeSide {
  const others = platforms === undefined || platforms.length < 2 ? '' : ` +${platforms.length - 1}`;
  return {
    value: { image: image ?? null, target: target?.digest ?? null, platforms: platforms ?? null },
    text: `${pointedText(image, target?.digest)}${others}`,
  };
}

interface DiffDrawing {
  readonly colors: Colors;
  readonly width?: number | undefined;
  readonly timeZone: string;
}

const MARKS = { added: '+', removed: '−', changed: '~' } as const;

/** On narrower terminals the reason goes below its row. */
const LEAST_COLUMNS_WITH_REASONS = 100;
/** Metadata values may be long; `log` shows them in full. */
const MOST_SIDE_COLUMNS = 28;

const TITLES: Readonly<Record<StoreChange['kind'], string>> = {
  reference: 'References',
  image: 'Images',
  artifact: 'Artifacts',
  parent: 'Parents',
  metadata: 'Metadata',
  layer: 'Layers',
};

/** Returns one table with a group per kind, and who, when and why; empty if unchanged. */
function diffLines(changes: readonly StoreChange[], { colors, width, timeZone }: DiffDrawing): string[] {
  const isWide = width === undefined || width >= LEAST_COLUMNS_WITH_REASONS;
  const times = timeColumn(
    'TIME',
    changes.map(({ event }) => event.time),
    timeZone,
  );
  const columns: Column[] = [
    { title: 'CHANGE', shrinksTo: 14, paint: (text) => paintOf(text, colors)(text) },
    { title: 'VALUE', goes: 1 },
    { title: times.title, goes: 2 },
    { title: 'BY', shrinksTo: 6, goes: 3, paint: colors.cyan },
    ...(isWide ? [{ title: 'WHY', shrinksTo: 12, paint: colors.dim }] : []),
  ];
  const rows = changes.map(({ change, name, event, ...sides }) => [
    `${MARKS[change]} ${name}`,
    sidesText(sides),
    times.minutes(event.time),
    event.actor,
    ...(isWide ? [whyText(event)] : []),
  ]);
  const [head = '', ...lines] = tableLines(columns, rows, { width, colors });
  const groups = changeKinds.flatMap((kind) => {
    const own = changes.flatMap((change, at) => {
      const why = isWide || change.kind !== kind ? '' : truncate(whyText(change.event), width - 2);
      return change.kind === kind ? [lines[at] ?? '', ...(why === '' ? [] : [colors.dim(`  ${why}`)])] : [];
    });
    return own.length === 0 ? [] : [colors.bold(TITLES[kind]), ...own];
  });
  return groups.length === 0 ? [] : [head, ...groups];
}

function sidesText({ before, after }: Pick<StoreChange, 'before' | 'after'>): string {
  const [was, is] = [before, after].map((side) => truncate(printable(side?.text ?? ''), MOST_SIDE_COLUMNS));
  if (before === undefined || after === undefined) return `${was}${is}`;
  // Same image through another manifest, or same layer in another file.
  return before.text === after.text ? `${is}, in another form` : `${was} → ${is}`;
}

function paintOf(text: string, colors: Colors): Paint {
  if (text.startsWith(MARKS.added)) return colors.green;
  return text.startsWith(MARKS.removed) ? colors.red : colors.yellow;
}
