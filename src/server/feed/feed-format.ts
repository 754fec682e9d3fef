import { eventToCloudEvent, eventToJSON } from '../../log/event-json.js';
import type { StoredEvent } from '../../model/events.js';

/** What stands for an event: a CloudEvent, or the event as `imagelog log --json` prints it. */
export type EventData = 'cloudevent' | 'event';

/** How a feed writes events. Each text is a whole unit: others may be sent before and after it. */
export interface FeedFormat {
  /** The same for formats that write the same. */
  readonly key: string;
  readonly contentType: string;
  /** What the answer begins with. */
  begin(): string;
  event(event: StoredEvent): string;
  /** Says that every event up to `seq` was sent or filtered out. */
  caughtUp(seq: number): string;
  /** Keeps the connection alive. Every event up to `seq`, if given, was sent or filtered out. */
  heartbeat(seq: number | undefined): string;
  /** Reports a failure to a client that has a part of the answer; undefined where the connection must be cut. */
  failure(code: string, message: string): string | undefined;
}

/** Returns what stands for an event in JSON. */
export function jsonOf(data: EventData, storeId: string): (event: StoredEvent) => object {
  return data === 'event' ? eventToJSON : (event) => eventToCloudEvent(event, { storeId });
}

/** Time after which a browser connects again, in milliseconds: spread, so that thousands do not come at once. */
const RETRY_MIN_MS = 1_000;
const RETRY_SPREAD_MS = 4_000;

/** Server-sent events (WHATWG HTML, "Server-sent events"): `id` is the seq, `data` the JSON. */
function sseFormat(data: EventData, storeId: string): FeedFormat {
  const json = jsonOf(data, storeId);
  return {
    key: `sse ${data}`,
    contentType: 'text/event-stream; charset=utf-8',
    begin: () => `retry: ${RETRY_MIN_MS + Math.floor(Math.random() * RETRY_SPREAD_MS)}\n\n`,
    // JSON has no line feed outside its strings, and there it is escaped.
    event: (event) => `id: ${event.seq}\ndata: ${JSON.stringify(json(event))}\n\n`,
    caughtUp: (seq) => `event: caught-up\nid: ${seq}\ndata: {"seq":${seq}}\n\n`,
    // An id without data gives the client no event: it only moves its Last-Event-ID.
    heartbeat: (seq) => (seq === undefined ? ':\n\n' : `id: ${seq}\n\n`),
    failure: (code, message) => `event: failure\ndata: ${JSON.stringify({ code, message })}\n\n`,
  };
}

/** A line of JSON an event. A heartbeat is a blank line. */
function ndjsonFormat(data: EventData, storeId: string): FeedFormat {
  const json = jsonOf(data, storeId);
  return {
    key: `ndjson ${data}`,
    contentType: 'application/x-ndjson; charset=utf-8',
    begin: () => '',
    event: (event) => `${JSON.stringify(json(event))}\n`,
    caughtUp: () => '',
    heartbeat: () => '\n',
    failure: () => undefined,
  };
}

/** The formats of a store, each made once: thousands of clients share them. */
export class FeedFormats {
  readonly #formats: readonly FeedFormat[];

  constructor(storeId: string) {
    const forms = ['cloudevent', 'event'] as const;
    this.#formats = forms.flatMap((data) => [sseFormat(data, storeId), ndjsonFormat(data, storeId)]);
  }

  get(kind: 'sse' | 'ndjson', data: EventData): FeedFormat {
    return this.#formats.find(({ key }) => key === `${kind} ${data}`) as FeedFormat;
  }
}
