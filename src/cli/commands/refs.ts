import { formatPlatform } from '../../model/platform.js';
import { canonicalReference, familiarReference } from '../../model/reference.js';
import { isPattern } from '../../model/reference-pattern.js';
import { StoreError } from '../../errors.js';
import type { EventStore } from '../../store/event-store.js';
import type { ReferenceInterval } from '../../store/past/audit.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { mayBeIdAfter } from '../cut-reference.js';
import { PATTERN_HINT } from '../event-selection.js';
import { pointedText, summaryFormat, wholeFormat } from '../../log/event-json.js';
import { withOwnHint } from '../hints.js';
import { openReading, type Reading, tellDeciding } from '../open-for.js';
import { listOf, option, referenceOrPatternOrId } from '../option-values.js';
import { intervalsUpTo, referenceNotFound, type ReferencePeriod, referencePeriods, referencesTo } from '../query.js';
import { csvRow } from '../../model/csv.js';
import { durationText, utcText } from '../../model/texts.js';
import { timelineLines, whyText } from '../render/timeline.js';
import type { SummaryFormat } from '../../model/event-facts.js';
import { truncate } from '../render/display-width.js';
import { type Column, tableLines } from '../render/table.js';
import type { Colors } from '../render/text.js';
import { timeColumn } from '../render/times.js';

interface RefsFlags {
  readonly format?: 'table' | 'json' | 'csv';
}

/** `imagelog refs`: draws the life of a reference, or lists the periods of several. */
export const refsGrammar: Grammar = () => ({
  about:
    'Prints its image, draws its history on a strip of time, and gives each period a row, the newest first. ' +
    'Of several references, or of a pattern, it is a table of the periods of each, removed ones too. A pattern has ' +
    "* ? or [a-z] and needs quotes; without a slash it is held against the last part of a name: '*:prod' is prod of any " +
    'repository. With --json, as in CSV, the oldest first: one object for each period in which it pointed at an image.',
  examples: [
    ['imagelog refs shop/app:prod', 'draw what it pointed at, when, and by whom'],
    ["imagelog refs '*:prod'", 'every image that was ever in production'],
    ["imagelog refs 'shop/*' --format csv", 'all of one name space, for a spreadsheet'],
    ['imagelog refs --json shop/app:prod', 'the same for a program, with times in UTC'],
  ],
  arguments: [
    ['references and patterns; the names of an image by its id or first digits', listOf(referenceOrPatternOrId)],
  ],
  options: [option('--format <format>', 'table, one JSON object a line, or CSV').choices(['table', 'json', 'csv'])],
  paged: () => true,
  action: refs,
});

async function refs(context: CommandContext, names: readonly string[], flags: RefsFlags): Promise<void> {
  await using reading = await openReading(context, { tells: false });
  const lives = await livesOf(reading, names);
  // A pattern may fit thousands of names, and its table has the event of each.
  await tellDeciding(context, reading, names.some(isPattern) ? [] : [...lives.keys()]);
  const { colors, timeZone, out, trunc } = context;
  const format = flags.format ?? (context.json ? 'json' : 'table');
  if (format === 'json') {
    for (const interval of [...lives.values()].flat()) {
      const [counted] = reading.isPast ? [] : reading.store.registry.pulls(interval.reference);
      // Of all its periods: pulls are counted by reference and hour.
      const pulls = counted === undefined ? {} : { pulls: counted.pulls };
      await writeJson(context, { ...intervalObject(interval), ...pulls });
    }
    return;
  }
  if (format === 'csv') {
    await out.line(csvRow(CSV_COLUMNS));
    for (const intervals of lives.values()) for (const interval of intervals) await out.line(intervalRow(interval));
    return;
  }
  const options = {
    now: reading.time,
    isPresent: !reading.isPast,
    timeZone,
    width: trunc ? out.columns : undefined,
    colors,
    show: trunc ? summaryFormat : wholeFormat,
  };
  const periods = new Map([...lives].map(([reference, intervals]) => [reference, referencePeriods(intervals)]));
  const [[reference, only] = ['', []], ...others] = periods;
  const isOne = others.length === 0 && names.every((name) => !isPattern(name));
  const [pulls] = reading.isPast ? [] : reading.store.registry.pulls(reference);
  for (const line of isOne
    ? timelineLines(reference, only, { ...options, pulls })
    : referenceTableLines(periods, options)) {
    await out.line(line);
  }
}

/**
 * Returns the periods of each reference that is named or matches, by canonical name, in the order
 * of the arguments.
 * @throws {StoreError} REFERENCE_NOT_FOUND if an argument gives none
 */
async function livesOf(
  reading: Reading,
  names: readonly string[],
): Promise<ReadonlyMap<string, readonly ReferenceInterval[]>> {
  const lives = new Map<string, ReferenceInterval[]>();
  for (const name of names) {
    const intervals = await intervalsOf(reading, name);
    // A name may match two patterns.
    for (const { reference } of intervals) lives.set(reference, []);
    for (const interval of intervals) lives.get(interval.reference)?.push(interval);
  }
  return lives;
}

/** The periods of a name or pattern; of what is no name those of the references to the image that it is the id of. */
async function intervalsOf({ store, seq, images }: Reading, name: string): Promise<ReferenceInterval[]> {
  const ownOf = async (each: string): Promise<ReferenceInterval[]> => {
    const intervals = intervalsUpTo(await historyOf(store, each), seq);
    if (intervals.length === 0) throw noneThen(each);
    return intervals;
  };
  try {
    return await ownOf(name);
  } catch (error) {
    if (!mayBeIdAfter(error, name)) throw error;
  }
  const references = referencesTo(images, name);
  if (references.length === 0)
    throw new StoreError('REFERENCE_NOT_FOUND', `no reference points at ${name}`, { data: {} });
  return (await Promise.all(references.map(ownOf))).flat();
}

/** Hint for a name that never was; the general one would name this command. */
const NAME_HINT = '`imagelog images` lists the names there are, `imagelog refs "*"` those that there ever were';

async function historyOf(store: EventStore, name: string): Promise<ReferenceInterval[]> {
  try {
    return await store.referenceHistory(name);
  } catch (error) {
    throw withOwnHint(error, { REFERENCE_NOT_FOUND: isPattern(name) ? PATTERN_HINT : NAME_HINT });
  }
}

function noneThen(name: string): unknown {
  const isName = !isPattern(name);
  const error = referenceNotFound('cannot tell the past of', isName ? canonicalReference(name) : name);
  return withOwnHint(error, { REFERENCE_NOT_FOUND: isName ? NAME_HINT : PATTERN_HINT });
}

/** Columns of CSV: the fields of the JSON, platforms as texts. */
const CSV_COLUMNS = [
  'reference',
  'image',
  'from',
  'until',
  'actor',
  'reason',
  'requestId',
  'seq',
  'untilSeq',
  'removedBy',
  'removedReason',
  'removedRequestId',
  'previous',
  'previousTarget',
  'target',
  'platforms',
  'via',
  'address',
  'agent',
  'traceparent',
  'removedVia',
  'removedAddress',
  'removedAgent',
  'removedTraceparent',
] as const;

function intervalRow(interval: ReferenceInterval): string {
  const { from, until, platforms } = interval;
  const cells = {
    ...interval,
    from: utcText(from),
    until: until === undefined ? undefined : utcText(until),
    platforms: platforms?.map(({ image, ...platform }) => `${formatPlatform(platform)} ${image}`).join('; '),
  };
  return csvRow(CSV_COLUMNS.map((name) => cells[name]));
}

function intervalObject(interval: ReferenceInterval): Readonly<Record<string, unknown>> {
  const { reference, image, previous, previousTarget, target, platforms, from, until, seq, untilSeq, ...made } =
    interval;
  // Routes are left out where they are not set, as in the events.
  const { actor, reason, requestId, removedBy, removedReason, removedRequestId, ...routes } = made;
  return {
    reference,
    image: image ?? null,
    previous: previous ?? null,
    ...(previousTarget === undefined ? {} : { previousTarget }),
    target: target ?? null,
    platforms: platforms ?? null,
    from: utcText(from),
    until: until === undefined ? null : utcText(until),
    seq,
    untilSeq: untilSeq ?? null,
    actor,
    reason: reason ?? null,
    requestId: requestId ?? null,
    removedBy: removedBy ?? null,
    removedReason: removedReason ?? null,
    removedRequestId: removedRequestId ?? null,
    ...routes,
  };
}

interface ReferenceTableOptions {
  /** End of the last periods, milliseconds since the epoch. */
  readonly now: number;
  readonly timeZone: string;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly colors: Colors;
  readonly show: SummaryFormat;
}

/** On narrower terminals the reason goes below its row. */
const LEAST_COLUMNS_WITH_REASONS = 110;

/** Returns a table with a row for each period of each reference, the newest first. */
export function referenceTableLines(
  lives: ReadonlyMap<string, readonly ReferencePeriod[]>,
  { now, timeZone, width, colors, show }: ReferenceTableOptions,
): string[] {
  const isWide = width === undefined || width >= LEAST_COLUMNS_WITH_REASONS;
  const periods = [...lives].flatMap(([reference, own]) =>
    own.map((period) => ({ ...period, name: familiarReference(reference) })).reverse(),
  );
  const hasWhy = isWide && periods.some((period) => whyText(period) !== '');
  const since = timeColumn(
    'SINCE',
    periods.map(({ from }) => from),
    timeZone,
  );
  const rows = periods.map((period) => [
    period.name,
    targetText(period, show),
    since.minutes(period.from),
    durationText(Math.max(0, (period.until ?? Math.max(now, period.from)) - period.from)),
    period.actor,
    ...(hasWhy ? [whyText(period)] : []),
    ...(isWide ? [`#${period.seq}`] : []),
  ]);
  const columns: Column[] = [
    { title: 'REFERENCE', shrinksTo: 16 },
    { title: 'IMAGE', shrinksTo: 12, paint: (text) => (text === REMOVED ? colors.dim(text) : text) },
    { title: since.title },
    { title: 'FOR', align: 'right' },
    { title: 'BY', shrinksTo: 8, goes: 1, paint: colors.cyan },
    ...(hasWhy ? [{ title: 'WHY', shrinksTo: 12 }] : []),
    ...(isWide ? [{ title: 'EVENT', align: 'right', paint: colors.dim } as const] : []),
  ];
  const [head = '', ...lines] = tableLines(columns, rows, { width, colors });
  const told = lines.flatMap((line, at) => {
    const period = periods[at];
    const why = isWide || period === undefined ? '' : whyText(period);
    return why === '' || width === undefined ? [line] : [line, colors.dim(truncate(`  ${why}`, width))];
  });
  return [head, ...told];
}

const REMOVED = 'removed';

function targetText({ image, artifact, others }: ReferencePeriod, show: SummaryFormat): string {
  if (image === undefined && artifact === undefined) return REMOVED;
  return `${pointedText(image, artifact, show)}${others === 0 ? '' : ` +${others}`}`;
}
