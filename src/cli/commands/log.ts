import { InvalidArgumentError } from 'commander';
import { eventToCloudEvent, eventToJSON, summaryFormat, wholeFormat } from '../../log/event-json.js';
import { eventTypes, factsOf } from '../../model/event-table.js';
import type { EventType, StoredEvent } from '../../model/events.js';
import type { EventStore } from '../../store/event-store.js';
import type { EventFilter } from '../../store/follow/event-filter.js';
import { type Grammar, nonEmptyText } from '../command.js';
import type { CommandContext } from '../context.js';
import { ScanNotice, SELECTING, type SelectionFlags, selectionOf, seqOf } from '../event-selection.js';
import { UsageError } from '../exit-codes.js';
import { FormerNames, type ReadingOrder, readTransactions, type Selection } from '../transactions.js';
import { openFor, openReading, type Reading } from '../open-for.js';
import {
  digestText,
  listOf,
  momentsOf,
  option,
  pointInTime,
  referenceOrPattern,
  repeated,
  WHEN_HELP,
  wholeNumber,
} from '../option-values.js';
import { LINES_A_WRITE } from '../output.js';
import { EVENT_CSV_HEAD, eventCsvRow } from '../../model/csv.js';
import { eventTable } from '../render/event-table.js';
import { type Progress, progressBar } from '../render/progress.js';
import { jsonText } from '../render/text.js';
import { timesBetween } from '../render/times.js';
import { type LogDrawing, transactionLine, transactionTable } from '../render/transaction-lines.js';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

interface LogFlags extends SelectionFlags {
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly events?: boolean;
  readonly oneline?: boolean;
  readonly format?: LogFormat;
}

/** `imagelog log`: matching transactions as a table, or events as a table, JSON, CloudEvents or CSV. */
export const logGrammar: Grammar = ({ io }) => ({
  about:
    'One entry for each transaction: all that one command wrote. SEQ is its last event; --at SEQ shows the store ' +
    'right after it. --events shows each event, and JSON, CloudEvents and CSV do. A filter chooses the transactions ' +
    'with such an event, and --limit counts what is shown. ' +
    'In CSV, times are UTC, and a text that begins with = + - @ has an apostrophe before it, so that a spreadsheet does ' +
    'not run it. ' +
    `${WHEN_HELP} --since begins at the start of a date, a minute or a second. ` +
    'Values of one option are alternatives, different options must all match. A pattern without a slash is held against ' +
    'the last part of a name: *:prod is prod of any repository. ' +
    '--follow prints the events so far, then those that other processes write, until Ctrl-C or --limit.',
  examples: [
    ['imagelog log --since 2h', 'show the last two hours'],
    ['imagelog log --reference shop/app:prod --reverse --limit 1', 'who moved it last?'],
    ['imagelog log --type ReferenceSet,ReferenceRemoved --actor ci@build-7', 'every tag that one actor set or removed'],
    ["imagelog log --reference '*:prod' --actor ann --actor ben", 'what two people moved to production'],
    ['imagelog log --request INC-77', 'all that belongs to a ticket'],
    ['imagelog log --grep hotfix', 'who wrote that in a reason'],
    ['imagelog log --via registry --type ReferenceSet', 'which pushes moved a tag'],
    ['imagelog log --consumer mirror@1', 'what a subscriber still owes'],
    ['imagelog log --image cb4c372bec4c', 'the life of one image, even of one that was deleted'],
    ['imagelog log --since 2026-01-01 --until 2026-01-31 --json', 'a month for a program'],
    ['imagelog log --events --type ImageDeleted', 'which images were deleted, what they were called, and by whom'],
    ['imagelog log --format csv', 'every event for a spreadsheet'],
    ['imagelog log --follow --from 1 --json', 'print every event, and then new ones'],
    ['imagelog log --follow --since now --format cloudevents', 'pass new events to another service'],
  ],
  options: [
    option(
      '--image <name>',
      'events of this image or artifact: a reference, or the first digits of an id or digest',
      repeated,
    ),
    option(
      '--reference <name>',
      'events of this reference, or of a pattern: *:prod, shop/*',
      listOf(referenceOrPattern),
    ),
    option('--chain <id>', 'events of this chain of layers', digestText),
    option('--actor <name>', 'events by this actor', listOf(nonEmptyText)),
    option('--request <id>', 'events of this request id, as a build or a ticket', listOf(nonEmptyText)),
    option('--grep <text>', 'events with this text in their reason, in any case', listOf(nonEmptyText)),
    option('--via <word>', 'events that came through this: registry, mirror, http', listOf(nonEmptyText)),
    option('--consumer <name>', 'events that this consumer has not acknowledged yet', nonEmptyText),
    option('--type <types>', 'events of these types, separated by commas', eventTypeNames),
    option('--since <when>', 'from this point in time on', pointInTime(io)),
    option('--until <when>', 'up to this point in time', pointInTime(io)),
    option('--from <seq>', 'from this position on', wholeNumber(1)),
    option('--to <seq>', 'up to this position', wholeNumber(1)),
    option('--reverse', 'the newest first'),
    option('-n, --limit <count>', 'at most so many transactions, or events', wholeNumber(1)),
    option('--events', 'a line for each event'),
    option('--oneline', 'a short line for each transaction'),
    option('--follow', 'then wait for more'),
    option('--format <format>', 'table, one JSON object a line, CloudEvents 1.0, or CSV').choices(logFormats),
  ],
  paged: ({ follow }: LogFlags) => follow !== true,
  action: log,
});

async function log(context: CommandContext, flags: LogFlags): Promise<void> {
  checkFlags(context, flags);
  const { limit = Number.POSITIVE_INFINITY, follow } = flags;
  const { out } = context;
  const reading = await openReading(context);
  let view: LogView;
  let selection: Selection;
  try {
    const notice = new ScanNotice(context);
    selection = await selectionOf(reading, flags, { context, notice });
    view = logView(context, { reading, filter: selection.filter }, flags);
    if (follow !== true) {
      const { store } = reading;
      const progress = readingProgress(context);
      const told = { ...selection, onProgress: progress?.update };
      // What a filter lets through may come late, each by itself.
      const linesAWrite = isEverything(selection.filter) ? LINES_A_WRITE : 1;
      const show = (): Promise<void> => print(view.read(store, told), view.head, limit, context, linesAWrite);
      await notice.during(store.log, selection, show).finally(progress?.end);
      return;
    }
  } finally {
    await reading[Symbol.asyncDispose]();
  }
  if (view.head !== undefined) await out.line(view.head);
  await print(followLog(context, selection.from - 1, selection.filter, view), undefined, limit, context);
}

function isEverything(filter: EventFilter): boolean {
  return Object.values(filter).every((wanted) => wanted === undefined);
}

/** Lines for a log that is written to a file or a pipe: on a terminal they would be among the entries. */
function readingProgress(context: CommandContext): Progress | undefined {
  if (context.out.isTerminal || context.err.isTerminal) return undefined;
  return progressBar(context, 'read events', String);
}

/** Prints at most `limit` entries, `atOnce` in a write; reads and formats none that is not printed. */
async function print(
  entries: AsyncIterable<string>,
  head: string | undefined,
  limit: number,
  { out }: CommandContext,
  atOnce = 1,
): Promise<void> {
  // An impossible filter fails when the first event is read; print no header above that error.
  let waiting = head === undefined ? [] : [head];
  let shown = 0;
  const write = async (): Promise<void> => {
    const lines = waiting.join('\n');
    waiting = [];
    await out.line(lines);
  };
  try {
    for await (const entry of entries) {
      waiting.push(entry);
      shown += 1;
      if (shown >= limit) break;
      // The first alone: it is early.
      if (shown === 1 || waiting.length >= atOnce) await write();
    }
  } catch (error) {
    // What was read before the damage is shown.
    if (shown > 0 && waiting.length > 0) await write();
    throw error;
  }
  if (waiting.length > 0) await write();
}

function checkFlags(context: CommandContext, { follow, reverse, to, until, ...flags }: LogFlags): void {
  checkOrder('--from', flags.from, '--to', to);
  checkConsumer({ follow, to, until, ...flags });
  if (flags.since !== undefined && until !== undefined) {
    const { since } = flags;
    checkOrder('--since', seqOf(since), '--until', seqOf(until));
    checkOrder('--since', momentsOf(since, context)?.first, '--until', momentsOf(until, context)?.last);
  }
  checkForm(flags, context.json);
  if (follow !== true) return;
  if (reverse === true) throw new UsageError('--follow shows new events, so it cannot be combined with --reverse');
  if (context.at !== undefined) throw new UsageError('--follow shows new events, which the past does not have');
  if (to !== undefined || until !== undefined) {
    throw new UsageError('--follow shows new events, so it cannot be combined with --to or --until; --limit ends it');
  }
}

function checkForm({ events, oneline, format }: LogFlags, json: boolean): void {
  if (oneline !== true) return;
  if (events === true) throw new UsageError('--oneline shows transactions, so it cannot be combined with --events');
  if (format !== 'table' && (json || format !== undefined)) {
    throw new UsageError('--oneline is a form of the table, so it cannot be combined with another format');
  }
}

/** A consumer has its own filter and position. */
function checkConsumer({ consumer, limit, format, ...flags }: LogFlags): void {
  if (consumer === undefined) return;
  const [name] = Object.entries(flags).find(([key, value]) => SELECTING.has(key) && value !== undefined) ?? [];
  if (name === undefined) return;
  throw new UsageError(
    `--consumer has the filter and the place of the consumer, so it cannot be combined with --${name}`,
  );
}

function checkOrder(startName: string, start: number | undefined, endName: string, end: number | undefined): void {
  if (start !== undefined && end !== undefined && start > end) throw new UsageError(`${startName} is after ${endName}`);
}

/** Parses event types: repeatable, comma-separated, case-insensitive. */
function eventTypeNames(text: string, before: readonly EventType[] = []): EventType[] {
  return [...before, ...text.split(',').map(eventTypeName)];
}

function eventTypeName(text: string): EventType {
  const type = eventTypes.find((each) => each.toLowerCase() === text.trim().toLowerCase());
  if (type !== undefined) return type;
  throw new InvalidArgumentError(`The kinds of events are ${eventTypes.join(', ')}.`);
}

/** Values of `log --format`. */
const logFormats = ['table', 'json', 'cloudevents', 'csv'] as const;

/** A value of `log --format`. */
type LogFormat = (typeof logFormats)[number];

/** One way to show the log: a header line and the text of each entry. */
interface LogView extends FollowedView {
  readonly head?: string | undefined;
}

interface ViewFlags {
  readonly format?: LogFormat;
  readonly events?: boolean;
  readonly oneline?: boolean;
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly follow?: boolean | undefined;
}

/** Returns the view that the flags ask for; entries are read and formatted one by one, on demand. */
function logView(
  context: CommandContext,
  { reading, filter }: { readonly reading: Reading; readonly filter: EventFilter },
  flags: ViewFlags,
): LogView {
  const format = flags.format ?? (context.json ? 'json' : 'table');
  const { storeId } = reading.store.stats();
  switch (format) {
    case 'json':
      return eventView(context, flags, () => (event) => jsonText(eventToJSON(event)));
    case 'cloudevents':
      return eventView(context, flags, () => (event) => jsonText(eventToCloudEvent(event, { storeId })));
    case 'csv':
      return csvView(context, reading, flags);
    case 'table':
      return tableView(context, { reading, filter }, flags);
  }
}

/** Returns `limit`, narrowed by a time of a filter; words are not worth reading for a title. */
function msOf(time: EventFilter['since'], limit: number, narrow: (a: number, b: number) => number): number {
  return typeof time === 'number' ? narrow(time, limit) : limit;
}

function tableView(
  context: CommandContext,
  { reading, filter: { since, until } }: { readonly reading: Reading; readonly filter: EventFilter },
  flags: ViewFlags,
): LogView {
  const { head: newest } = reading.store.log;
  const { createdAt } = reading.store.stats();
  const { timeZone, out, colors, quiet, trunc, signal } = context;
  const drawing: LogDrawing = {
    colors,
    width: out.columns,
    timeZone,
    times: timesBetween(msOf(since, createdAt, Math.max), msOf(until, newest.time, Math.min)),
    largestSeq: newest.seq,
    show: trunc ? summaryFormat : wholeFormat,
    reverse: flags.reverse,
  };
  if (flags.events === true) {
    const table = eventTable(drawing);
    const entries = (store: EventStore): Format => {
      const former = formerNames(store, reading, flags, context);
      return async (event) => table.entry(event, await former.of(event));
    };
    return { ...eventView(context, flags, entries), head: quiet ? undefined : table.head };
  }
  const table = transactionTable(drawing);
  // Nothing is cut but the short line.
  const line = transactionLine(trunc ? drawing : { ...drawing, width: undefined });
  const entry = flags.oneline === true ? line : table.entry;
  return {
    head: quiet || flags.oneline === true ? undefined : table.head,
    isByTransaction: true,
    read: async function* (store, selection) {
      const order = orderOf(store, reading, flags, signal);
      for await (const tally of readTransactions(store.log, selection, order)) yield entry(tally);
    },
  };
}

function csvView(context: CommandContext, reading: Reading, flags: ViewFlags): LogView {
  const show = context.trunc ? summaryFormat : wholeFormat;
  const entries = (store: EventStore): Format => {
    const former = formerNames(store, reading, flags, context);
    return async (event) => {
      const names = (await former.of(event)).map(show.reference);
      return eventCsvRow(event, { json: eventToJSON(event), names, what: factsOf(event).summary(event, show) });
    };
  };
  return { ...eventView(context, flags, entries), head: context.quiet ? undefined : EVENT_CSV_HEAD };
}

type Format = (event: StoredEvent) => string | Promise<string>;

function eventView({ signal }: CommandContext, flags: ViewFlags, formatFor: (store: EventStore) => Format): LogView {
  const { reverse, limit } = flags;
  return {
    isByTransaction: false,
    read: async function* (store: EventStore, selection: Selection) {
      const format = formatFor(store);
      for await (const event of store.log.read({ ...selection, reverse, limit, signal })) yield format(event);
    },
  };
}

function formerNames(store: EventStore, reading: Reading, flags: ViewFlags, { signal }: CommandContext): FormerNames {
  return new FormerNames(store.log, orderOf(store, reading, flags, signal));
}

function orderOf({ log }: EventStore, reading: Reading, flags: ViewFlags, signal: AbortSignal): ReadingOrder {
  return { reverse: flags.reverse, head: lastShown(log.head.seq, reading, flags), signal };
}

/** The past ends at its moment, also within a transaction; a follower has no end. */
function lastShown(headSeq: number, { seq }: Reading, { follow }: ViewFlags): number {
  return follow === true ? headSeq : seq;
}

/** Polling interval for writes by other processes. */
const FOLLOW_INTERVAL_MS = 250;

/** Maximum events read per opening of the store, which bounds a follower's memory. */
const FOLLOW_PAGE_EVENTS = 10_000;

/** What of the log is shown: `read` yields the text of each entry, an event or a transaction. */
export interface FollowedView {
  /** Whether an entry may need events after `to`, so that a read must end with a transaction. */
  readonly isByTransaction: boolean;
  readonly read: (store: EventStore, selection: Selection) => AsyncIterable<string>;
}

/**
 * Yields the entries after seq `after`, existing ones first, then those other processes write, until
 * the run is aborted. Opens the store only to read new events, because an open view never grows.
 * @throws {Interruption} when the user stops it
 */
export async function* followLog(
  context: CommandContext,
  after: number,
  filter: EventFilter,
  view: FollowedView,
): AsyncGenerator<string> {
  const { signal } = context;
  let seen = after;
  // Unknown, so that the first poll reads existing events.
  let before = '';
  while (true) {
    signal.throwIfAborted();
    // Read before the events, so that any later write changes the next fingerprint.
    const now = await changing(context);
    if (now !== before) {
      const { entries, to, isAtHead } = await entriesAfter(seen, context, filter, view);
      yield* entries;
      seen = to;
      if (!isAtHead) continue;
      before = now;
    }
    await delay(FOLLOW_INTERVAL_MS, undefined, { signal });
  }
}

interface Look {
  readonly entries: readonly string[];
  /** Last seq examined. */
  readonly to: number;
  readonly isAtHead: boolean;
}

async function entriesAfter(
  seen: number,
  context: CommandContext,
  filter: EventFilter,
  view: FollowedView,
): Promise<Look> {
  await using store = await openFor(context, 'read');
  const head = Math.max(seen, store.log.head.seq);
  let to = Math.min(head, seen + FOLLOW_PAGE_EVENTS);
  if (view.isByTransaction && to < head) to = await endOfTransaction(store, to);
  const entries: string[] = [];
  for await (const entry of view.read(store, { from: seen + 1, to, filter })) entries.push(entry);
  return { entries, to, isAtHead: to === head };
}

async function endOfTransaction({ log }: EventStore, seq: number): Promise<number> {
  for await (const { transaction } of log.read({ from: seq, to: seq })) {
    return transaction.first + transaction.count - 1;
  }
  return seq;
}

/** Returns what changes with every write. */
function changing({ io: { client }, directory }: CommandContext): Promise<string> | string {
  return client === undefined ? fingerprint(directory) : String(client.store.log.head.seq);
}

/** Returns names and sizes of the files that hold events; changes with every write. */
async function fingerprint(directory: string): Promise<string> {
  const folder = join(directory, 'log');
  const facts: string[] = [];
  for (const name of (await readdir(folder)).filter((each) => /\.(log|ldb)$/.test(each)).sort()) {
    try {
      const { size } = await stat(join(folder, name));
      if (size > 0) facts.push(`${name} ${size}`);
    } catch {
      // Removed between the two calls by a compaction, which is a change too.
      facts.push(`${name} gone`);
    }
  }
  return facts.join('\n');
}
