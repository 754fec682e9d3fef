import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type ErrorCode, isStoreError } from '../../errors.js';
import type { ImageId } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { type Image, labelsIn } from '../../model/image.js';
import { Memo } from '../../model/collections.js';
import { familiarReference } from '../../model/reference.js';
import type { EventStore } from '../../store/event-store.js';
import { HttpFailure } from '../failure.js';
import { waitForReader } from '../service/body-watch.js';
import type { Service } from '../service.js';
import { type DockerExchange, minorOf } from './docker.js';
import { badRequest } from './failures.js';
import { type Filters, fitsLabels, parseFilters, parseTime } from './filters.js';
import { IMPORT_REASON } from './import.js';

/** Keys of filters that only events of other things than images can match. */
const OTHERS = ['container', 'daemon', 'network', 'node', 'plugin', 'secret', 'service', 'volume', 'config'];

/** Which events a client wants. */
interface EventsRequest {
  readonly filters: Filters;
  /** Nanoseconds since the epoch; undefined for new events alone. */
  readonly since: bigint | undefined;
  /** Undefined for no end. */
  readonly until: bigint | undefined;
  /** Last seq; undefined to follow the log. */
  readonly to: number | undefined;
  readonly minor: number;
}

/** Answers with events of images: those of the log since a time, then each as it becomes durable. */
export async function eventsResponse(c: DockerExchange, service: Service): Promise<Response> {
  const { outgoing } = c.env;
  if (outgoing === undefined) throw new HttpFailure(500, 'UNSUPPORTED', 'events need a connection');
  const { since = '', until = '', filters } = c.req.query();
  const now = Date.now();
  // An end without a beginning is for all from the first event on.
  const begin = since === '' ? (until === '' ? undefined : 0n) : parseTime(since, now);
  const end = until === '' ? undefined : parseTime(until, now);
  if (begin !== undefined && end !== undefined && end < begin) {
    throw badRequest(`since time (${since}) cannot be after until time (${until})`);
  }
  const isOver = end !== undefined && end <= BigInt(now) * 1_000_000n;
  const { store } = service;
  const request: EventsRequest = {
    filters: parseFilters(filters),
    since: begin,
    until: end,
    to: (await service.past) ?? (isOver ? await lastSeq(store) : undefined),
    minor: minorOf(c),
  };
  if (outgoing.destroyed) return RESPONSE_ALREADY_SENT;
  waitForReader(outgoing);
  outgoing.writeHead(200, { 'content-type': 'application/json' });
  // A client that waits for its first event must see that it was accepted.
  outgoing.flushHeaders();
  void send(outgoing, request, service);
  return RESPONSE_ALREADY_SENT;
}

/** What is written now may have a time that is over: it is waited for. */
async function lastSeq(store: EventStore): Promise<number> {
  await store.settled();
  return store.log.head.seq;
}

async function send(outgoing: ServerResponse, request: EventsRequest, service: Service): Promise<void> {
  const left = new AbortController();
  outgoing.once('close', () => left.abort());
  try {
    const writer = new EventWriter(service.store, request);
    for await (const event of wantedEvents(request, service, left.signal)) {
      const text = await writer.textOf(event);
      if (text === undefined) continue;
      if (writer.isAfter(request.until)) break;
      if (!outgoing.write(text)) await once(outgoing, 'drain', { signal: left.signal });
    }
    outgoing.end();
  } catch (error) {
    if (!left.signal.aborted) service.onFailure(error);
    // The end of the body would look as if that were all.
    outgoing.destroy();
  }
}

/** Yields events until the client leaves, the server stops, or the time is over. */
async function* wantedEvents(
  { since, until, to }: EventsRequest,
  { store, signal }: Service,
  left: AbortSignal,
): AsyncGenerator<StoredEvent> {
  // Milliseconds are what events have; the rest is compared one by one.
  const filter = since === undefined ? undefined : { since: Number(since / 1_000_000n) };
  const from = since === undefined ? store.log.head.seq + 1 : 1;
  if (to !== undefined) {
    if (from <= to) yield* store.log.read({ from, to, filter, signal: left });
    return;
  }
  const follower = store.log.follow({ from, filter });
  const end = (): void => void follower.return();
  const stopped = AbortSignal.any([signal, left]);
  const finish = (): void =>
    void lastSeq(store)
      .then(() => follower.caughtUp())
      .then(end, end);
  const clear = until === undefined ? () => undefined : atTime(until, finish);
  stopped.addEventListener('abort', end, { once: true });
  try {
    if (!stopped.aborted) yield* follower;
  } finally {
    clear();
    stopped.removeEventListener('abort', end);
    end();
  }
}

/** Longest time of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Runs `work` at a time, nanoseconds since the epoch; returns what cancels it. */
function atTime(nanos: bigint, work: () => void): () => void {
  const time = Number(nanos / 1_000_000n) + 1;
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const restMs = time - Date.now();
    timer = setTimeout(restMs > MAX_TIMER_MS ? wait : work, Math.min(Math.max(0, restMs), MAX_TIMER_MS));
  };
  wait();
  return () => clearTimeout(timer);
}

/** An image event, as Docker's API has it. */
interface ImageEvent {
  readonly action: string;
  readonly id: string;
  readonly name: string;
}

/** Writes events of the log as Docker does, with times that keep their order. */
class EventWriter {
  readonly #store: EventStore;
  readonly #request: EventsRequest;
  #last: Pick<StoredEvent, 'seq' | 'time'> = { seq: 0, time: -1 };
  /** Seq of the first event of the millisecond of the last one. */
  #first = 1;
  #nanos = 0n;
  readonly #labels = new Memo((id) => this.#readLabels(id));

  constructor(store: EventStore, request: EventsRequest) {
    this.#store = store;
    this.#request = request;
  }

  /** Whether the last event was after a time. */
  isAfter(nanos: bigint | undefined): boolean {
    return nanos !== undefined && this.#nanos > nanos;
  }

  /** Returns an event as text; undefined for one that is of no image, or not wanted. */
  async textOf(event: StoredEvent): Promise<string | undefined> {
    const { since, filters, minor } = this.#request;
    this.#nanos = await this.#nanosOf(event);
    if (since !== undefined && this.#nanos < since) return undefined;
    const told = this.#imageEvent(event);
    if (told === undefined || !isWanted(told, filters)) return undefined;
    const { action, id, name } = told;
    const labels = { ...(action === 'delete' ? {} : await this.#labels.of(id)), name };
    if (!fitsLabels(filters, labels)) return undefined;
    const former = minor < 52 ? { status: action, id } : {};
    const sorted = Object.fromEntries(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)));
    const actor = { ID: id, Attributes: sorted };
    const body = { ...former, Type: 'image', Action: action, Actor: actor, scope: 'local' };
    // A number of JavaScript has not so many digits.
    const times = `"time":${this.#nanos / 1_000_000_000n},"timeNano":${this.#nanos}`;
    return `${JSON.stringify(body).slice(0, -1)},${times}}\n`;
  }

  /** The events of one millisecond are a nanosecond apart. */
  async #nanosOf({ seq, time }: StoredEvent): Promise<bigint> {
    if (seq !== this.#last.seq + 1) this.#first = await this.#firstOf(seq, time);
    else if (time !== this.#last.time) this.#first = seq;
    this.#last = { seq, time };
    return BigInt(time) * 1_000_000n + BigInt(seq - this.#first);
  }

  async #firstOf(seq: number, time: number): Promise<number> {
    let first = seq;
    if (seq === 1) return first;
    for await (const before of this.#store.log.read({ to: seq - 1, reverse: true })) {
      if (before.time !== time) break;
      first = before.seq;
    }
    return first;
  }

  #imageEvent(event: StoredEvent): ImageEvent | undefined {
    switch (event.type) {
      case 'ImageCreated':
        return { action: cameBy(event), id: event.image, name: event.image };
      case 'ImageDeleted':
        return { action: 'delete', id: event.image, name: event.image };
      case 'ReferenceSet': {
        const id = event.image ?? event.target?.digest ?? '';
        return { action: 'tag', id, name: familiarReference(event.reference) };
      }
      case 'ReferenceRemoved':
        return { action: 'untag', id: event.image ?? event.target ?? '', name: familiarReference(event.reference) };
      default:
        return undefined;
    }
  }

  /** Also those of an image that was deleted since; none of an artifact, and of one that was erased. */
  async #readLabels(id: string): Promise<Readonly<Record<string, string>>> {
    try {
      return labelsIn((await this.#imageEver(id as ImageId)).rawJSON()) ?? {};
    } catch (error) {
      if (isStoreError(error) && WITHOUT_CONFIG.includes(error.code)) return {};
      throw error;
    }
  }

  /** For an image that is there the index is not read. */
  async #imageEver(id: ImageId): Promise<Image> {
    try {
      return this.#store.get(id);
    } catch (error) {
      if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
      return this.#store.imageEver(id);
    }
  }
}

/** The image was erased, or its digest is that of an artifact. */
const WITHOUT_CONFIG: readonly ErrorCode[] = ['SUBJECT_NOT_FOUND', 'CONTENT_ERASED', 'CONFIG_INVALID'];

function cameBy({ via, reason }: StoredEvent): string {
  if (via === 'pull' || via === 'mirror') return 'pull';
  return via === 'docker' && reason === IMPORT_REASON ? 'import' : 'load';
}

function isWanted({ action, id, name }: ImageEvent, filters: Filters): boolean {
  const fits = (key: string, values: readonly string[]): boolean => {
    const wanted = filters.get(key);
    return wanted === undefined || wanted.some((value) => values.includes(value));
  };
  const isOther = OTHERS.some((key) => (filters.get(key) ?? []).length > 0);
  const names = [id, name, withoutTag(name)];
  return (
    !isOther && fits('type', ['image']) && fits('event', [action]) && fits('scope', ['local']) && fits('image', names)
  );
}

function withoutTag(name: string): string {
  const named = name.split('@', 1)[0] ?? '';
  const tag = named.indexOf(':', named.lastIndexOf('/') + 1);
  return tag < 0 ? named : named.slice(0, tag);
}
