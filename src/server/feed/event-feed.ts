import type { Writable } from 'node:stream';
import { MAX_FEED_FOLLOWERS, MAX_FEED_READERS } from '../../limits.js';
import type { EventFilter } from '../../store/follow/event-filter.js';
import { HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import { Channel, type KeptEvents } from './channel.js';
import { type ClientSurroundings, FeedClient } from './feed-client.js';
import type { FeedFormat } from './feed-format.js';
import { type BeatPlace, Heartbeats } from './heartbeats.js';
import { ReaderSlots } from './reader-slots.js';
import { Turns } from './turns.js';

/** Proxies close connections that are silent for 30 to 60 seconds. */
const HEARTBEAT_MS = 15_000;

/** What tests change. */
export interface FeedOptions {
  readonly heartbeatMs?: number;
  readonly followers?: number;
}

/** What an answer of the feed has. */
export interface FeedAnswer {
  readonly format: FeedFormat;
  readonly filter: EventFilter | undefined;
  /** The same for filters that pass the same events. */
  readonly filterKey: string;
  /** Begins with the event after this one. */
  readonly position: number;
  /** Last seq of an answer that ends; undefined for one that follows the log. */
  readonly to: number | undefined;
  /** Most events; Infinity for all. */
  readonly limit: number;
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
