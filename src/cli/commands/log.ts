import { InvalidArgumentError } from 'commander';
import { eventTypes } from '../../model/event-table.js';
import type { EventType, StoredEvent } from '../../model/events.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { type Selection, type SelectionFlags, SELECTING, selectionOf, seqOf } from '../event-selection.js';
import { cloudEvent, eventObject } from '../events.js';
import { UsageError } from '../exit-codes.js';
import { followEvents } from '../follow-events.js';
import { openReading, type Reading } from '../open-for.js';
import {
  digestText,
  listOf,
  momentsOf,
  option,
  pointInTime,
  referenceOrPattern,
  repeated,
  wholeNumber,
} from '../option-values.js';
import { type EventTable, eventTable } from '../render/event-table.js';
import { ScanNotice } from '../scan-notice.js';

interface LogFlags extends SelectionFlags {
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly format?: 'table' | 'json' | 'cloudevents';
}

/** `imagelog log`: matching events as a table, JSON or CloudEvents. */
export const logGrammar: Grammar = ({ io }) => ({
  about:
    'WHEN is an event (12 or #12), a time ago (2h, 1d12h), a date, RFC 3339, or now; what has no zone is UTC. ' +
    'A date means its start for --since, its end for --until. ' +
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
    ['imagelog log --consumer mirror@1', 'what a subscriber still owes'],
    ['imagelog log --image cb4c372bec4c', 'the life of one image, even of one that was deleted'],
    ['imagelog log --since 2026-01-01 --until 2026-01-31 --json', 'a month for a program'],
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
    option('--consumer <name>', 'events that this consumer has not acknowledged yet', nonEmptyText),
    option('--type <types>', 'events of these types, separated by commas', eventTypeNames),
    option('--since <when>', 'from this point in time on', pointInTime(io.now)),
    option('--until <when>', 'up to this point in time', pointInTime(io.now)),
    option('--from <seq>', 'from this position on', wholeNumber(1)),
    option('--to <seq>', 'up to this position', wholeNumber(1)),
    option('--reverse', 'the newest first'),
    option('-n, --limit <count>', 'at most so many events', wholeNumber(1)),
    option('--follow', 'then wait for more'),
    option('--format <format>', 'table, one JSON object a line, or CloudEvents 1.0').choices([
      'table',
      'json',
      'cloudevents',
    ]),
  ],
  action: log,
});

async function log(context: CommandContext, flags: LogFlags): Promise<void> {
  checkFlags(context, flags);
  const { reverse, limit, follow } = flags;
  const { signal } = context;
  const reading = await openReading(context);
  let printer: EventPrinter;
  let selection: Selection;
  try {
    const notice = new ScanNotice(context);
    selection = await selectionOf(reading, flags, { context, notice });
    printer = eventPrinter(context, reading, flags);
    if (follow !== true) {
      const options = { ...selection, reverse, limit, signal };
      const { log: events } = reading.store;
      await notice.during(events, options, () => printAll(events.read(options), printer, context));
      return;
    }
  } finally {
    await reading[Symbol.asyncDispose]();
  }
  if (printer.head !== undefined) await context.out.line(printer.head);
  let remaining = limit ?? Number.POSITIVE_INFINITY;
  for await (const event of followEvents(context, selection.from - 1, selection.filter)) {
    await printer.event(event);
    remaining -= 1;
    if (remaining <= 0) return;
  }
}

interface EventPrinter {
  /** Header line above the events. */
  readonly head?: string | undefined;
  readonly event: (event: StoredEvent) => Promise<void>;
}

async function printAll(
  events: AsyncIterable<StoredEvent>,
  printer: EventPrinter,
  { out }: CommandContext,
): Promise<void> {
  // An impossible filter fails when the first event is read; print no header above that error.
  let { head } = printer;
  const begin = async (): Promise<void> => {
    if (head !== undefined) await out.line(head);
    head = undefined;
  };
  for await (const event of events) {
    await begin();
    await printer.event(event);
  }
  await begin();
}

function checkFlags({ at, io }: CommandContext, { follow, reverse, to, until, ...flags }: LogFlags): void {
  checkOrder('--from', flags.from, '--to', to);
  checkConsumer({ follow, to, until, ...flags });
  if (flags.since !== undefined && until !== undefined) {
    const { since } = flags;
    checkOrder('--since', seqOf(since), '--until', seqOf(until));
    checkOrder('--since', momentsOf(since, io.now())?.first, '--until', momentsOf(until, io.now())?.last);
  }
  if (follow !== true) return;
  if (reverse === true) throw new UsageError('--follow shows new events, so it cannot be combined with --reverse');
  if (at !== undefined) throw new UsageError('--follow shows new events, which the past does not have');
  if (to !== undefined || until !== undefined) {
    throw new UsageError('--follow shows new events, so it cannot be combined with --to or --until; --limit ends it');
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

function eventPrinter(context: CommandContext, { store }: Reading, flags: LogFlags): EventPrinter {
  const format = flags.format ?? (context.json ? 'json' : 'table');
  const { storeId } = store.stats();
  switch (format) {
    case 'json':
      return { event: (event) => writeJson(context, eventObject(event)) };
    case 'cloudevents':
      return { event: (event) => writeJson(context, cloudEvent(event, storeId)) };
    case 'table':
      return tablePrinter(context, store.log.head.seq);
  }
}

function tablePrinter(context: CommandContext, largestSeq: number): EventPrinter {
  const { io, out, colors, quiet } = context;
  const table: EventTable = eventTable({ colors, width: out.columns, timeZone: io.timeZone, largestSeq });
  return { head: quiet ? undefined : table.head, event: (event) => out.line(table.row(event)) };
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
