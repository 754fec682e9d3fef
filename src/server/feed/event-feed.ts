import type { ServerResponse } from 'node:http';
import { PassThrough, Readable, type Writable } from 'node:stream';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { MAX_FEED_FOLLOWERS, MAX_FEED_READERS } from '../../limits.js';
import type { ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import { waitForReader } from '../service/body-watch.js';
import { Channel, type KeptEvents } from './channel.js';
import { type ClientSurroundings, FeedClient } from './feed-client.js';
import type { FeedAnswer } from './feed-query.js';
import { type BeatPlace, Heartbeats, ReaderSlots, Turns } from './turns.js';

/** Proxies close connections that are silent for 30 to 60 seconds. */
const HEARTBEAT_MS = 15_000;

/** What tests change. */
export interface FeedOptions {
  readonly heartbeatMs?: number;
  readonly followers?: number;
}

/** Sends the events of a store to any number of clients. */
export class EventFeed {
  readonly #service: Service;
  readonly #channels = new Map<string, Channel>();
  /** Where each client has its heartbeats. */
  readonly #clients = new Map<FeedClient, BeatPlace>();
  readonly #slots = new ReaderSlots(MAX_FEED_READERS);
  readonly #turns: Turns;
  readonly #heartbeats: Heartbeats;
  readonly #kept: KeptEvents = { count: 0 };
  readonly #shared: ClientSurroundings;

  readonly #most: number;

  constructor(service: Service, { heartbeatMs = HEARTBEAT_MS, followers = MAX_FEED_FOLLOWERS }: FeedOptions = {}) {
    this.#service = service;
    this.#most = followers;
    this.#turns = new Turns(() => service.store.log.head.seq);
    this.#heartbeats = new Heartbeats(heartbeatMs);
    this.#shared = {
      log: () => service.store.log,
      slots: this.#slots,
      turns: this.#turns,
      onFailure: service.onFailure,
      onGone: (client) => this.#forget(client),
    };
    service.signal.addEventListener('abort', () => this.#end(), { once: true });
  }

  /** Number of answers that are open. */
  get size(): number {
    return this.#clients.size;
  }

  /** @throws {HttpFailure} STOPPING when the server closes, TOOMANYREQUESTS while too many follow */
  checkRoom(): void {
    if (this.#service.signal.aborted) {
      throw new HttpFailure(503, 'STOPPING', 'the server stops', { headers: { 'retry-after': '1' } });
    }
    if (this.#clients.size < this.#most) return;
    const message = `${this.#most} clients follow the log, the most that may`;
    throw new HttpFailure(429, 'TOOMANYREQUESTS', message, { headers: { 'retry-after': '60' } });
  }

  /** Begins an answer into `out`, which is its own from now on. */
  open(out: Writable, answer: FeedAnswer): void {
    const { format, filter, filterKey, position, to, limit } = answer;
    const key = `${format.key} ${filterKey}`;
    const channel = to === undefined ? this.#channel(key, answer) : undefined;
    const client = new FeedClient(this.#shared, { out, format, filter, position, to, channel, limit });
    if (client.isOver) return;
    this.#clients.set(client, this.#heartbeats.add(client));
  }

  #channel(key: string, { format, filter }: FeedAnswer): Channel {
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    const { log } = this.#service.store;
    const position = log.head.seq;
    const follower = log.follow({ from: position + 1, filter });
    const channel = new Channel({ key, follower, position, format, turns: this.#turns, kept: this.#kept });
    this.#channels.set(key, channel);
    return channel;
  }

  #forget(client: FeedClient): void {
    const place = this.#clients.get(client);
    this.#clients.delete(client);
    if (place !== undefined) this.#heartbeats.remove(client, place);
    const { channel } = client;
    if (channel?.isEmpty === true && this.#channels.get(channel.key) === channel) this.#channels.delete(channel.key);
  }

  #end(): void {
    for (const client of [...this.#clients.keys()]) client.end();
    this.#turns.end();
  }
}

/**
 * Answers with events: into node:http itself, and without waiting for the end, so that nothing of
 * the request is kept while a client follows; or as a Web stream. Calls `onGone` when it is over.
 */
export function feedResponse(
  c: Context<ServerEnv>,
  feed: EventFeed,
  answer: FeedAnswer,
  onGone: () => void = () => undefined,
): Response {
  const headers = {
    'content-type': answer.format.contentType,
    'cache-control': 'no-store',
    // nginx would buffer it.
    'x-accel-buffering': 'no',
  };
  if (c.req.method === 'HEAD') {
    onGone();
    return new Response(null, { headers });
  }
  try {
    feed.checkRoom();
  } catch (error) {
    onGone();
    throw error;
  }
  const outgoing = outgoingOf(c);
  if (outgoing === undefined) {
    const body = new PassThrough();
    body.once('close', onGone);
    feed.open(body, answer);
    return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { headers });
  }
  // A client that left while it was authenticated closes no second time.
  if (outgoing.destroyed) {
    onGone();
    return RESPONSE_ALREADY_SENT;
  }
  waitForReader(outgoing);
  outgoing.once('close', onGone);
  outgoing.writeHead(200, headers);
  // A client that waits for its first event must see that it was accepted.
  if (answer.format.begin() === '') outgoing.flushHeaders();
  feed.open(outgoing, answer);
  return RESPONSE_ALREADY_SENT;
}

/** Returns the response of node:http; undefined where a program calls `fetch`. */
export function outgoingOf(c: Context<ServerEnv>): ServerResponse | undefined {
  return (c.env as Partial<ServerEnv['Bindings']> | undefined)?.outgoing;
}
