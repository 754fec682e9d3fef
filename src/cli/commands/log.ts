import { InvalidArgumentError } from 'commander';
import { eventTypes } from '../../model/event-table.js';
import type { ChainId } from '../../model/digest.js';
import type { EventType, StoredEvent } from '../../model/events.js';
import type { Subject } from '../../model/subjects.js';
import { canonicalReference } from '../../model/reference.js';
import type { EventFilter } from '../../store/follow/event-filter.js';
import type { When } from '../../store/past/audit.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { eventToCloudEvent, eventToJSON } from '../../log/event-json.js';
import { UsageError } from '../exit-codes.js';
import { followEvents } from '../follow-events.js';
import { openReading, type Reading } from '../open-for.js';
import { digestText, momentsOf, NOW, option, pointInTime, referenceName, wholeNumber } from '../option-values.js';
import { findImageEver } from '../query.js';
import { type EventTable, eventTable } from '../render/event-table.js';

interface LogFlags {
  readonly image?: string;
  readonly reference?: string;
  readonly chain?: ChainId;
  readonly actor?: string;
  readonly type?: readonly EventType[];
  readonly since?: When;
  readonly until?: When;
  readonly from?: number;
  readonly to?: number;
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly format?: 'table' | 'json' | 'cloudevents';
}

/** `imagelog log`: matching events as a table, JSON or CloudEvents. */
export const logGrammar: Grammar = ({ io }) => ({
  about:
    'WHEN is an event (12 or #12), a time ago (2h, 1d12h), a date, RFC 3339, or now; what has no zone is UTC. ' +
    'A date means its start for --since, its end for --until. ' +
    '--follow prints the events so far, then those that other processes write, until Ctrl-C or --limit.',
  examples: [
    ['imagelog log --since 2h', 'show the last two hours'],
    ['imagelog log --reference shop/app:prod --reverse --limit 1', 'who moved it last?'],
    ['imagelog log --type ReferenceSet,ReferenceRemoved --actor ci@build-7', 'every tag that one actor set or removed'],
    ['imagelog log --image cb4c372bec4c', 'the life of one image, even of one that was deleted'],
    ['imagelog log --since 2026-01-01 --until 2026-01-31 --json', 'a month for a program'],
    ['imagelog log --follow --from 1 --json', 'print every event, and then new ones'],
    ['imagelog log --follow --since now --format cloudevents', 'pass new events to another service'],
  ],
  options: [
    option('--image <name>', 'events of this image or artifact: a reference, or the first digits of an id or digest'),
    option('--reference <reference>', 'events of this reference', referenceName),
    option('--chain <id>', 'events of this chain of layers', digestText),
    option('--actor <name>', 'events by this actor', nonEmptyText),
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
    selection = await selectionOf(reading, flags, context);
    printer = eventPrinter(context, reading, flags);
    if (follow !== true) {
      await printAll(reading.store.log.read({ ...selection, reverse, limit, signal }), printer, context);
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

function checkOrder(startName: string, start: number | undefined, endName: string, end: number | undefined): void {
  if (start !== undefined && end !== undefined && start > end) throw new UsageError(`${startName} is after ${endName}`);
}

/** The requested events: inclusive seq range and filter. */
interface Selection {
  readonly from: number;
  readonly to: number;
  readonly filter: EventFilter;
}

/**
 * @throws {StoreError} SUBJECT_NOT_FOUND if no event ever mentions a name; IMAGE_NOT_FOUND,
 *   ID_AMBIGUOUS
 */
async function selectionOf(reading: Reading, flags: LogFlags, { io, signal }: CommandContext): Promise<Selection> {
  const { actor, chain, type, since, until, follow } = flags;
  const image = flags.image === undefined ? undefined : await findImageEver(reading, flags.image, signal);
  const reference = flags.reference === undefined ? undefined : canonicalReference(flags.reference);
  // A follower may wait for subjects that do not exist yet.
  if (follow !== true) {
    if (image !== undefined) await mustBeKnown(reading, { image });
    if (reference !== undefined) await mustBeKnown(reading, { reference });
    if (chain !== undefined) await mustBeKnown(reading, { chainId: chain });
    if (actor !== undefined) await mustBeKnown(reading, { actor });
  }
  return {
    from: Math.max(1, flags.from ?? 1, since === NOW && follow === true ? reading.seq + 1 : (seqOf(since) ?? 1)),
    to: Math.min(reading.seq, flags.to ?? reading.seq, seqOf(until) ?? reading.seq),
    filter: {
      image,
      reference,
      chainId: chain,
      actor,
      type,
      since: since === undefined ? undefined : momentsOf(since, io.now())?.first,
      // `now` is the end of the log even if the clock ran ahead once, leaving events in the future.
      until: until === undefined || until === NOW ? undefined : momentsOf(until, io.now())?.last,
    },
  };
}

function seqOf(when: When | undefined): number | undefined {
  return typeof when === 'number' ? when : undefined;
}

// Rejects unknown names: an empty answer would hide a misspelling.
async function mustBeKnown({ store }: Reading, subject: Subject): Promise<void> {
  for await (const _ of store.history(subject, { limit: 1 })) return;
}

function eventPrinter(context: CommandContext, { store }: Reading, flags: LogFlags): EventPrinter {
  const format = flags.format ?? (context.json ? 'json' : 'table');
  const { storeId } = store.stats();
  switch (format) {
    case 'json':
      return { event: (event) => writeJson(context, eventToJSON(event)) };
    case 'cloudevents':
      return { event: (event) => writeJson(context, eventToCloudEvent(event, { storeId })) };
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
