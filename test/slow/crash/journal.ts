import { appendFileSync, closeSync, existsSync, openSync, readSync } from 'node:fs';
import { isStoreError } from '../../../src/errors.js';
import { leafHash } from '../../../src/log/merkle.js';
import { encodeRecord } from '../../../src/log/record.js';
import { bytesToHex } from '../../../src/model/digest.js';
import type { StoredEvent } from '../../../src/model/events.js';
import type { EventStore } from '../../../src/store/event-store.js';

/** How a request failed. */
export interface Failure {
  /** The code of a StoreError; of any other error its text, which is no code. */
  readonly code: string;
  /** What an OUTCOME_UNKNOWN says: events of the batch, and how many of them are there. */
  readonly events?: number | undefined;
  readonly survived?: number | undefined;
}

/** One line of a journal. Requests are named by their `requestId`. */
type Line =
  | { readonly begun: string }
  | { readonly seen: number; readonly hash: string; readonly by: string }
  | { readonly done: string; readonly events: number }
  | ({ readonly failed: string } & Failure)
  | { readonly consumed: number };

/** Returns the leaf hash of an event, in hex: it stands for every byte of its record. */
export function recordHash(event: StoredEvent): string {
  return bytesToHex(leafHash(encodeRecord(event)));
}

/**
 * What a process that may be killed at any moment tells: requests that it makes, events that its store shows it, and
 * requests that were acknowledged. The file lies outside the store. Each line is handed to the system before the
 * process continues, so that a kill loses none.
 */
export class Journal {
  readonly #path: string;
  readonly #eventsOf = new Map<string, number>();
  #lastFailure: string | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Notes every event that `store` shows from now on: an event that anybody saw must never go. */
  watch(store: EventStore): void {
    store.log.events$.subscribe((event) => {
      const by = event.requestId ?? '';
      this.#eventsOf.set(by, (this.#eventsOf.get(by) ?? 0) + 1);
      this.#write({ seen: event.seq, hash: recordHash(event), by });
    });
  }

  /** Makes a request and notes its beginning and its end; resolves with undefined when it fails. */
  async request<Result>(
    requestId: string,
    action: (options: { readonly requestId: string }) => Promise<Result>,
  ): Promise<Result | undefined> {
    this.#write({ begun: requestId });
    try {
      this.#lastFailure = undefined;
      const result = await action({ requestId });
      this.#write({ done: requestId, events: this.#eventsOf.get(requestId) ?? 0 });
      return result;
    } catch (error) {
      const failure = failureOf(error);
      this.#lastFailure = failure.code;
      this.#write({ failed: requestId, ...failure });
      return undefined;
    } finally {
      this.#eventsOf.delete(requestId);
    }
  }

  /** Whether the request before failed with this code. */
  hasFailed(code: string): boolean {
    return this.#lastFailure === code;
  }

  /** Notes that a consumer's acknowledgement of event `seq` resolved. */
  consumed(seq: number): void {
    this.#write({ consumed: seq });
  }

  #write(line: Line): void {
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }
}

function failureOf(error: unknown): Failure {
  if (!isStoreError(error)) return { code: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  const { events, survived } = error.data;
  return { code: error.code, events: asCount(events), survived: asCount(survived) };
}

function asCount(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** An event that a store showed. */
export interface SeenEvent {
  readonly hash: string;
  readonly by: string;
}

/** All that the journal of one store tells, over every round. */
export class Recorded {
  readonly begun = new Set<string>();
  /** Events of each request that was acknowledged. */
  readonly done = new Map<string, number>();
  readonly failed = new Map<string, Failure>();
  readonly seen = new Map<number, SeenEvent>();
  /** The newest event that a consumer acknowledged. */
  consumed = 0;
  readonly #path: string;
  #offset = 0;
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what was written since the last call. */
  read(): void {
    if (!existsSync(this.#path)) return;
    const file = openSync(this.#path, 'r');
    try {
      const chunk = Buffer.alloc(1 << 20);
      for (let size = readSync(file, chunk, 0, chunk.length, this.#offset); size > 0; ) {
        this.#offset += size;
        this.#rest += chunk.toString('utf8', 0, size);
        size = readSync(file, chunk, 0, chunk.length, this.#offset);
      }
    } finally {
      closeSync(file);
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#note(JSON.parse(line) as Line);
  }

  #note(line: Line): void {
    if ('begun' in line) this.begun.add(line.begun);
    else if ('seen' in line) this.seen.set(line.seen, { hash: line.hash, by: line.by });
    else if ('done' in line) this.done.set(line.done, line.events);
    else if ('failed' in line) this.failed.set(line.failed, line);
    else this.consumed = Math.max(this.consumed, line.consumed);
  }
}
