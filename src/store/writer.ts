import { setImmediate } from 'node:timers/promises';
import { isStoreError, StoreError } from '../errors.js';
import {
  LOG_RETRY_MS,
  MAX_ACTOR_BYTES,
  MAX_ADDRESS_BYTES,
  MAX_AGENT_BYTES,
  MAX_GROUP_BYTES,
  MAX_GROUP_EVENTS,
  MAX_REASON_BYTES,
  MAX_TRACEPARENT_BYTES,
  MAX_VIA_BYTES,
} from '../limits.js';
import { type Envelope, type EventBody, type Route, routeOf, type StoredEvent } from '../model/events.js';
import type { EventClock } from './event-clock.js';
import type { WriteOptions } from './store.js';
import { ChangedFacts, type Decide, type Decision, type HoldCounts, NotedState } from './commands/decision.js';
import type { Views } from '../../projections/views.js';
import type { Page } from '../../projections/projection.js';
import type { ConsumerPosition, Log, LogEntry } from '../log/log.js';
import { encodeRecord } from '../log/record.js';
import type { Digest } from '../model/digest.js';

/** The part of an envelope that a caller chooses. Has the fields of a route only if one is set. */
export interface Origin extends Route {
  readonly actor: string;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
}

type EventTimes = Pick<Envelope, 'time' | 'clock'>;

const utf8 = new TextEncoder();
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Returns the origin of a write, with `actor` as the default actor.
 * @throws {StoreError} ENVELOPE_INVALID when a text is too long or not Unicode, or the actor empty
 */
export function originOf(options: WriteOptions, actor: string): Origin {
  const origin: Origin = {
    actor: options.actor ?? actor,
    reason: options.reason,
    requestId: options.requestId,
  };
  if (origin.actor === '') throw new StoreError('ENVELOPE_INVALID', 'the actor of a write is empty');
  checkText('actor', origin.actor, MAX_ACTOR_BYTES);
  checkText('reason', origin.reason, MAX_REASON_BYTES);
  checkText('requestId', origin.requestId, MAX_ACTOR_BYTES);
  const route = routeOf(options);
  if (route === undefined) return origin;
  checkText('via', route.via, MAX_VIA_BYTES);
  checkText('address', route.address, MAX_ADDRESS_BYTES);
  checkText('agent', route.agent, MAX_AGENT_BYTES);
  checkText('traceparent', route.traceparent, MAX_TRACEPARENT_BYTES);
  return { ...origin, ...route };
}

function checkText(field: string, text: string | undefined, limit: number): void {
  if (text === undefined) return;
  if (typeof text !== 'string') throw new TypeError(`${field} must be a string`);
  // UTF-8 cannot encode half a surrogate pair: a replay would differ from the live event.
  if (LONE_SURROGATE.test(text)) {
    throw new StoreError('ENVELOPE_INVALID', `the ${field} of a write is not Unicode text`, { data: { field } });
  }
  // UTF-8 takes at most three bytes per string unit, so most texts need no encoding to be measured.
  if (text.length * 3 <= limit) return;
  const size = utf8.encode(text).length;
  if (size <= limit) return;
  throw new StoreError('ENVELOPE_INVALID', `the ${field} of a write has ${size} bytes, at most ${limit} are allowed`, {
    data: { field, size, limit },
  });
}

/** Returns the events of one transaction that starts at seq `first`. */
export function stampEvents(
  bodies: readonly EventBody[],
  origin: Origin,
  { first, ...times }: EventTimes & { readonly first: number },
): StoredEvent[] {
  const transaction = { first, count: bodies.length };
  return bodies.map((body, index) => ({ seq: first + index, ...times, transaction, ...origin, ...body }));
}

/** A change requested by a caller. */
export interface Command<Result> {
  readonly decide: Decide<Result>;
  readonly origin: Origin;
  /** Called when decided but not yet durable; later decisions must account for the command. */
  readonly accepted?: ((result: Result) => void) | undefined;
  /** Called once the command's events are durable and folded; not for a command without events. */
  readonly committed?: ((lastSeq: number) => void) | undefined;
  /** Called when an accepted command did not become durable: undoes `accepted`. */
  readonly withdrawn?: ((result: Result) => void) | undefined;
}

/** Events after which to yield to timers and sockets. */
const EVENTS_PER_TURN = 1_000;

/** A queued command and its caller's promise. */
interface Waiting {
  readonly command: Command<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A queued task that runs alone: no group is decided or appended meanwhile. */
interface LoneTask {
  readonly run: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

/** A decided command of the group being appended. */
interface Accepted {
  readonly waiting: Waiting;
  readonly result: unknown;
  readonly lastSeq: number;
}

interface WriterOptions {
  readonly log: Log;
  readonly views: Views;
  readonly holds: HoldCounts;
  readonly clock: EventClock;
  /** Called with durable events before they are folded. Must not throw. */
  readonly sealed: (page: Page) => Promise<void>;
  readonly fold: (page: Page) => void;
  /** Called before events with a route are appended, which versions before them cannot read. */
  readonly needRoutes: () => Promise<void>;
  /** Called before callers are rejected, when it is unknown which events are durable. */
  readonly lost: () => void;
  /** Called once that is known again. */
  readonly found: () => void;
}

/**
 * The single writer of a log. Queued commands are decided in order and appended as one batch (group
 * commit), so that 64 callers cost one sync, not 64.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #queue: (Waiting | LoneTask)[] = [];
  #draining: Promise<void> | undefined;
  /** Why writes are refused from now on. */
  #ended: StoreError | undefined;
  /** When the log was last opened again in vain for lack of room; undefined unless it may be tried again. */
  #triedAtMs: number | undefined;
  #retrying: Promise<void> | undefined;
  #isEnding = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the command's result once its events are durable and folded into every view.
   * @throws {StoreError} what the decision threw; OUTCOME_UNKNOWN, LOG_FAILED, STORE_READ_ONLY,
   *   STORE_CLOSED
   */
  submit<Result>(command: Command<Result>): Promise<Result> {
    this.#retry();
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise<Result>((resolve, reject) => {
      this.#queue.push({ command, resolve, reject } as Waiting);
      this.#draining ??= this.#drain();
    });
  }

  /**
   * Runs `task` exclusively: after everything submitted before, and before anything submitted
   * later.
   * @throws {StoreError} the reason the writer was ended with
   */
  alone<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise<Result>((resolve, reject) => {
      this.#queue.push({ run: () => task().then(resolve, reject), reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Resolves once everything submitted before is durable, or was refused. */
  async settled(): Promise<void> {
    await (this.#ended === undefined ? this.alone(async () => undefined) : this.#draining);
  }

  /** Whether the log failed, so that nothing can be written. */
  get hasFailed(): boolean {
    return this.#ended?.code === 'LOG_FAILED';
  }

  /** @throws {StoreError} the reason for which commands are refused */
  check(): void {
    this.#retry();
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** Refuses new commands with `reason`; resolves when the queued ones are settled. */
  async end(reason: StoreError): Promise<void> {
    this.#ended ??= reason;
    this.#isEnding = true;
    this.#triedAtMs = undefined;
    await this.#retrying;
    await this.#draining;
  }

  async #drain(): Promise<void> {
    // Callers of the same turn join the first group.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const next = this.#queue[0];
      if (next !== undefined && 'run' in next) {
        this.#queue.shift();
        await next.run();
        continue;
      }
      const group = new Group(this.#options);
      this.#fill(group);
      // Deciding and batching this many events takes long: yield in between.
      if (group.entries.length > EVENTS_PER_TURN) await setImmediate();
      if (!group.isEmpty) await this.#append(group);
    }
    this.#draining = undefined;
  }

  #fill(group: Group): void {
    while (!group.full) {
      const waiting = this.#queue[0];
      if (waiting === undefined || 'run' in waiting || !group.take(waiting)) return;
      this.#queue.shift();
    }
  }

  async #append(group: Group): Promise<void> {
    const { log, sealed, fold, needRoutes } = this.#options;
    try {
      if (group.hasRoutes) await needRoutes();
    } catch (error) {
      // Nothing was written to the log.
      group.rejectAll(error);
      return;
    }
    try {
      const { first, entries, content, positions } = group;
      await log.append({ expectedHead: first - 1, entries, content, positions });
    } catch (error) {
      await this.#settle(group, error);
      return;
    }
    // A crash from here on loses nothing: the events are durable, and the next open replays them.
    const page = group.entries.map(({ event }) => event);
    try {
      if (page.length > 0) {
        await sealed(page);
        fold(page);
      }
    } catch (cause) {
      this.#giveUp(cause, group, outcome(cause, group.entries, undefined));
      return;
    }
    group.resolveAll();
  }

  // A failed append may still have happened. Reads the log to find out, tells the callers, and
  // continues only if the log is whole.
  async #settle(group: Group, error: unknown): Promise<void> {
    const { log, fold } = this.#options;
    try {
      const survived = await log.recover();
      fold(survived);
      group.rejectAll(outcome(error, group.entries, survived));
    } catch (cause) {
      this.#giveUp(cause, group, outcome(error, group.entries, undefined));
      if (isStoreError(cause, 'DISK_FULL')) this.#triedAtMs = performance.now();
    }
  }

  // A server continues by itself once there is room: the requests after this one are taken.
  #retry(): void {
    const { log, fold, found } = this.#options;
    if (this.#triedAtMs === undefined || this.#retrying !== undefined) return;
    if (performance.now() - this.#triedAtMs < LOG_RETRY_MS) return;
    this.#retrying = (async () => {
      try {
        fold(await log.recover());
        found();
        if (!this.#isEnding) this.#ended = undefined;
        this.#triedAtMs = undefined;
      } catch (error) {
        this.#triedAtMs = isStoreError(error, 'DISK_FULL') && !this.#isEnding ? performance.now() : undefined;
      } finally {
        this.#retrying = undefined;
      }
    })();
  }

  // Unknown what is durable: from now on, write nothing, remove nothing for lack of an event.
  #giveUp(cause: unknown, group: Group, told: StoreError): void {
    this.#options.lost();
    const text = isStoreError(cause, 'DISK_FULL')
      ? 'no space is left for the log: nothing is written until there is room on the disk'
      : 'the log failed and could not be opened again: nothing is written until the store, or its server, starts again';
    this.#ended = new StoreError('LOG_FAILED', text, { cause });
    group.rejectAll(told);
    for (const waiting of this.#queue.splice(0)) waiting.reject(this.#ended);
  }
}

/** Commands decided against the same views, to be appended as one batch. */
class Group {
  readonly #options: WriterOptions;
  readonly #changed: ChangedFacts;
  readonly #accepted: Accepted[] = [];
  #bytes = 0;
  #hasRoutes = false;
  #times: EventTimes | undefined;
  readonly first: number;
  readonly entries: LogEntry[] = [];
  readonly content = new Map<Digest, Uint8Array | undefined>();
  readonly positions = new Map<string, ConsumerPosition | undefined>();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#changed = new ChangedFacts(options.views);
    this.first = options.log.head.seq + 1;
  }

  get isEmpty(): boolean {
    return this.entries.length === 0 && this.positions.size === 0;
  }

  get full(): boolean {
    return this.entries.length >= MAX_GROUP_EVENTS || this.#bytes >= MAX_GROUP_BYTES;
  }

  /** Whether an event says from where and how it came. */
  get hasRoutes(): boolean {
    return this.#hasRoutes;
  }

  /** Decides a command. False if it must wait, as it reads a fact this group changes. */
  take(waiting: Waiting): boolean {
    const { views, holds } = this.#options;
    const state = new NotedState(views, holds);
    let decision: Decision<unknown>;
    let entries: LogEntry[];
    try {
      decision = waiting.command.decide(state);
      if (state.looksAt(this.#changed.facts)) return false;
      entries = this.#encode(decision, waiting);
    } catch (error) {
      if (state.looksAt(this.#changed.facts)) return false;
      waiting.reject(error);
      return true;
    }
    this.#accept(waiting, decision, entries);
    return true;
  }

  resolveAll(): void {
    for (const { waiting, result, lastSeq } of this.#accepted) {
      waiting.command.committed?.(lastSeq);
      waiting.resolve(result);
    }
  }

  rejectAll(error: unknown): void {
    for (const { waiting, result } of this.#accepted) {
      waiting.command.withdrawn?.(result);
      waiting.reject(error);
    }
  }

  #encode(decision: Decision<unknown>, { command }: Waiting): LogEntry[] {
    const first = this.first + this.entries.length;
    // No event, no time: no notice of the clock.
    if (decision.events.length === 0) return [];
    this.#times ??= this.#options.clock.after(this.#options.log.head);
    const events = stampEvents(decision.events, command.origin, { first, ...this.#times });
    return events.map((event) => ({ event, record: encodeRecord(event) }));
  }

  #accept(
    waiting: Waiting,
    { result, content, positions = new Map() }: Decision<unknown>,
    entries: readonly LogEntry[],
  ): void {
    const { command } = waiting;
    command.accepted?.(result);
    if (entries.length === 0 && positions.size === 0) {
      waiting.resolve(result);
      return;
    }
    if (entries.length > 0) this.#hasRoutes ||= routeOf(command.origin) !== undefined;
    for (const entry of entries) {
      this.entries.push(entry);
      this.#bytes += entry.record.length;
      this.#changed.add(entry.event);
    }
    for (const [digest, bytes] of content ?? []) {
      // The last write of a digest in the group wins, whether it adds or removes.
      this.content.set(digest, bytes);
      this.#bytes += bytes?.length ?? 0;
    }
    for (const [name, position] of positions) this.positions.set(name, position);
    this.#accepted.push({ waiting, result, lastSeq: this.first + this.entries.length - 1 });
  }
}

function outcome(
  cause: unknown,
  entries: readonly LogEntry[],
  survived: readonly StoredEvent[] | undefined,
): StoreError {
  // A write without events only sets consumer positions, of which the log shows nothing.
  const events =
    entries.length === 0 ? 'the log is whole' : `the log holds ${survived?.length} of its ${entries.length} events`;
  const found = survived === undefined ? 'the log could not be read again' : events;
  return new StoreError('OUTCOME_UNKNOWN', `the write failed; after reopening, ${found}`, {
    cause,
    data: { events: entries.length, survived: entries.length === 0 ? undefined : survived?.length },
  });
}
