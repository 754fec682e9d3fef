import { InvalidArgumentError } from 'commander';
import { eventTypes } from '../../model/event-table.js';
import type { ChainId } from '../../model/digest.js';
import type { EventType } from '../../model/events.js';
import type { Subject } from '../../model/subjects.js';
import { canonicalReference } from '../../model/reference.js';
import type { When } from '../../store/past/audit.js';
import { type Grammar, nonEmptyText } from '../command.js';
import type { CommandContext } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { followLog } from '../follow-events.js';
import { type LogFormat, type LogView, logFormats, logView } from '../log-view.js';
import { openReading, type Reading } from '../open-for.js';
import { digestText, momentsOf, NOW, option, pointInTime, referenceName, wholeNumber } from '../option-values.js';
import { findImageEver } from '../query.js';
import type { Selection } from '../transactions.js';

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
    'WHEN is an event (12 or #12), a time ago (2h, 1d12h), a date, RFC 3339, or now; what has no zone is UTC. ' +
    'A date means its start for --since, its end for --until. ' +
    '--follow prints the events so far, then those that other processes write, until Ctrl-C or --limit.',
  examples: [
    ['imagelog log --since 2h', 'show the last two hours'],
    ['imagelog log --reference shop/app:prod --reverse --limit 1', 'who moved it last?'],
    ['imagelog log --type ReferenceSet,ReferenceRemoved --actor ci@build-7', 'every tag that one actor set or removed'],
    ['imagelog log --image cb4c372bec4c', 'the life of one image, even of one that was deleted'],
    ['imagelog log --since 2026-01-01 --until 2026-01-31 --json', 'a month for a program'],
    ['imagelog log --events --type ImageDeleted', 'which images were deleted, what they were called, and by whom'],
    ['imagelog log --format csv', 'every event for a spreadsheet'],
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
    selection = await selectionOf(reading, flags, context);
    view = logView(context, reading, flags);
    if (follow !== true) {
      await print(view.read(reading.store, selection), view.head, limit, context);
      return;
    }
  } finally {
    await reading[Symbol.asyncDispose]();
  }
  if (view.head !== undefined) await out.line(view.head);
  await print(followLog(context, selection.from - 1, selection.filter, view), undefined, limit, context);
}

/** Prints at most `limit` entries; reads and formats none that is not printed. */
async function print(
  entries: AsyncIterable<string>,
  head: string | undefined,
  limit: number,
  { out }: CommandContext,
): Promise<void> {
  // An impossible filter fails when the first event is read; print no header above that error.
  let isBegun = false;
  const begin = async (): Promise<void> => {
    if (!isBegun && head !== undefined) await out.line(head);
    isBegun = true;
  };
  let remaining = limit;
  for await (const entry of entries) {
    await begin();
    await out.line(entry);
    remaining -= 1;
    if (remaining <= 0) return;
  }
  await begin();
}

function checkFlags({ at, io, json }: CommandContext, { follow, reverse, to, until, ...flags }: LogFlags): void {
  checkOrder('--from', flags.from, '--to', to);
  if (flags.since !== undefined && until !== undefined) {
    const { since } = flags;
    checkOrder('--since', seqOf(since), '--until', seqOf(until));
    checkOrder('--since', momentsOf(since, io.now())?.first, '--until', momentsOf(until, io.now())?.last);
  }
  checkForm(flags, json);
  if (follow !== true) return;
  if (reverse === true) throw new UsageError('--follow shows new events, so it cannot be combined with --reverse');
  if (at !== undefined) throw new UsageError('--follow shows new events, which the past does not have');
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

function checkOrder(startName: string, start: number | undefined, endName: string, end: number | undefined): void {
  if (start !== undefined && end !== undefined && start > end) throw new UsageError(`${startName} is after ${endName}`);
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

/** Parses event types: repeatable, comma-separated, case-insensitive. */
function eventTypeNames(text: string, before: readonly EventType[] = []): EventType[] {
  return [...before, ...text.split(',').map(eventTypeName)];
}

function eventTypeName(text: string): EventType {
  const type = eventTypes.find((each) => each.toLowerCase() === text.trim().toLowerCase());
  if (type !== undefined) return type;
  throw new InvalidArgumentError(`The kinds of events are ${eventTypes.join(', ')}.`);
}
