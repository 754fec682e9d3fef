import type { StoredEvent } from '../model/events.js';
import { factsOf } from '../model/event-table.js';
import type { EventStore } from '../store/event-store.js';
import type { EventFilter } from '../store/follow/event-filter.js';
import type { CommandContext } from './context.js';
import { eventToCloudEvent, eventToJSON } from '../log/event-json.js';
import { summaryFormat, wholeFormat } from '../log/event-texts.js';
import type { FollowedView } from './follow-events.js';
import { FormerNames } from './former-names.js';
import type { ReadingOrder } from './log-cursor.js';
import type { Reading } from './open-for.js';
import { EVENT_CSV_HEAD, eventCsvRow } from './render/event-csv.js';
import { eventTable } from './render/event-table.js';
import { jsonText } from './render/text.js';
import { timesBetween } from './render/times.js';
import { type LogDrawing, transactionLine, transactionTable } from './render/transaction-lines.js';
import { readTransactions, type Selection } from './transactions.js';

/** Values of `log --format`. */
export const logFormats = ['table', 'json', 'cloudevents', 'csv'] as const;

/** A value of `log --format`. */
export type LogFormat = (typeof logFormats)[number];

/** One way to show the log: a header line and the text of each entry. */
export interface LogView extends FollowedView {
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
export function logView(
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
