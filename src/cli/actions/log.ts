import type { StoredEvent } from '../../model/events.js';
import { canonicalReference } from '../../model/reference.js';
import type { EventStore } from '../../store/store.js';
import type { EventFilter } from '../../store/read/log-reads.js';
import type { LogFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { cloudEvent } from '../events/cloud-event.js';
import { eventObject } from '../events/event-json.js';
import { followEvents } from '../follow-events.js';
import { openFor } from '../open-for.js';
import { findImageEver } from '../query/find-image.js';
import { type EventTable, eventTable } from '../render/event-table.js';
import { UsageError } from '../usage-error.js';

/** `imagelog log`: the events that fit, as a table, as JSON or as CloudEvents. */
export async function log(context: CommandContext, flags: LogFlags): Promise<void> {
  checkFlags(flags);
  const { from, to, reverse, limit } = flags;
  const store = await openFor(context, 'read');
  let printer: EventPrinter;
  let filter: EventFilter;
  try {
    filter = await eventFilter(store, flags, context.signal);
    printer = await eventPrinter(context, store, flags);
    if (flags.follow !== true) {
      const events = store.log.read({ from, to, reverse, limit, filter, signal: context.signal });
      for await (const event of events) await printer(event);
      return;
    }
  } finally {
    await store.close();
  }
  let remaining = limit ?? Number.POSITIVE_INFINITY;
  for await (const event of followEvents(context, { after: (from ?? 1) - 1, filter })) {
    await printer(event);
    remaining -= 1;
    if (remaining <= 0) return;
  }
}

type EventPrinter = (event: StoredEvent) => Promise<void>;

function checkFlags({ follow, reverse, to, until }: LogFlags): void {
  if (follow !== true) return;
  if (reverse === true) throw new UsageError('--follow shows what comes, so it cannot go with --reverse');
  if (to !== undefined || until !== undefined) {
    throw new UsageError('--follow shows what comes, so it cannot go with --to or --until; --limit ends it');
  }
}

async function eventFilter(store: EventStore, flags: LogFlags, signal: AbortSignal): Promise<EventFilter> {
  const { image, reference, actor, type, since, until } = flags;
  return {
    image: image === undefined ? undefined : await findImageEver(store, image, signal),
    reference: reference === undefined ? undefined : canonicalReference(reference),
    actor,
    type,
    since,
    until,
  };
}

async function eventPrinter(context: CommandContext, store: EventStore, flags: LogFlags): Promise<EventPrinter> {
  const format = flags.format ?? (context.json ? 'json' : 'table');
  const { storeId } = store.stats();
  switch (format) {
    case 'json':
      return (event) => writeJson(context, eventObject(event));
    case 'cloudevents':
      return (event) => writeJson(context, cloudEvent(event, storeId));
    case 'table':
      return tablePrinter(context, store);
  }
}

async function tablePrinter(context: CommandContext, store: EventStore): Promise<EventPrinter> {
  const { io, out, colors, quiet } = context;
  const table: EventTable = eventTable({
    colors,
    width: out.columns,
    timeZone: io.timeZone,
    largestSeq: store.log.head.seq,
  });
  if (!quiet) await out.line(table.head);
  return (event) => out.line(table.row(event));
}
