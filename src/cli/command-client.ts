import type { Writable } from 'node:stream';
import type { Action } from '../server/access/access.js';
import type { EventStore } from '../store/event-store.js';
import type { WriteOptions } from '../store/store.js';
import type { CommandFiles } from './command-files.js';

/** What a pager of a long answer is to a command: a terminal that it may leave. */
export type PagerStream = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Of a pager that has ended. */
  readonly exitCode: number | null | undefined;
  /** Ends its input and waits until it has ended. */
  leave(): Promise<void>;
};

/** The client for whom a server runs a command. */
export interface CommandClient {
  /** The server's open store; closing it does nothing. */
  readonly store: EventStore;
  readonly files: CommandFiles;
  /**
   * Compares the options `--store` and `--host` with what the client, which parses no other option,
   * found on its command line.
   * @throws {CommandDeclined} if they differ: another server, or none, may be meant
   */
  mustBeAsked(options: { readonly store: string | undefined; readonly host: string | undefined }): void;
  /** @throws {CommandDeclined} the client then runs the command itself */
  decline(): never;
  /** @throws {StoreError} ACCESS_DENIED */
  mustBeAllowed(action: Action): void;
  /**
   * Returns what a write records of where it came from, for the actor that was typed.
   * @throws {StoreError} ACCESS_DENIED for an actor who is another than the client
   */
  originOf(actor: { readonly typed: string | undefined; readonly variable: string | undefined }): WriteOptions;
  /** The command of the client's pager; undefined for none. */
  readonly pager: string | undefined;
  openPager(): PagerStream;
}
