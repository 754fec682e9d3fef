import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventPeer } from './event-peer.js';
import { peerPackage } from './peer-package.js';

/** The part of Emmett's API used here. */
interface Emmett {
  getSQLiteEventStore(options: { fileName: string; pool: unknown }): EventStore;
  sqliteConnection(options: { fileName: string }): Connection;
  SQLiteConnectionPool(options: {
    fileName: string;
    connectionOptions: { connection: Connection; singleton: true };
  }): unknown;
}
interface Connection {
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  close(): void;
}
interface EventStore {
  readonly schema: { migrate(): Promise<void> };
  appendToStream(stream: string, events: readonly { type: string; data: object }[]): Promise<Appended>;
  readStream(stream: string): Promise<{ readonly events: readonly unknown[] }>;
  consumer(): Consumer;
}
interface Appended {
  readonly lastEventGlobalPosition: bigint;
}
type StartFrom = 'BEGINNING' | { readonly globalPosition: bigint };
interface Consumer {
  processor(options: { processorId: string; startFrom: StartFrom; eachMessage: () => void }): unknown;
  start(): Promise<void>;
  close(): Promise<void>;
}

const STREAM = 'events-1';
/** `PRAGMA synchronous` value that syncs each commit. */
const FULL = 2;
/** Wait while the other connection writes; without this both fail. */
const BUSY_TIMEOUT = 'PRAGMA busy_timeout = 10000';

/** Opens Emmett's SQLite event store, with all events in one stream. */
export async function openEmmett(directory: string): Promise<EventPeer> {
  const emmett = peerPackage<Emmett>('@event-driven-io/emmett-sqlite');
  await mkdir(directory, { recursive: true });
  const fileName = join(directory, 'events.sqlite');
  const connections: Connection[] = [];
  const connect = async (): Promise<EventStore> => {
    const connection = emmett.sqliteConnection({ fileName });
    connections.push(connection);
    await connection.query(BUSY_TIMEOUT);
    const [row] = await connection.query('PRAGMA synchronous');
    if (row?.['synchronous'] !== FULL) throw new RangeError('SQLite was not built to sync each commit');
    const pool = emmett.SQLiteConnectionPool({ fileName, connectionOptions: { connection, singleton: true } });
    return emmett.getSQLiteEventStore({ fileName, pool });
  };
  const store = await connect();
  await store.schema.migrate();
  let subscribed: EventStore | undefined;
  let processors = 0;
  let globalPosition = 0n;
  return {
    name: 'Emmett + SQLite',
    settings:
      'WAL, synchronous=FULL; one connection kept open, faster than its default of one for each call; its consumer polls, each second when idle, and commits its position after each event',
    append: async (events) => {
      const messages = events.map(({ type, ...data }) => ({ type, data }));
      globalPosition = (await store.appendToStream(STREAM, messages)).lastEventGlobalPosition;
    },
    readAll: async () => (await store.readStream(STREAM)).events.length,
    connect: async () => {
      subscribed = await connect();
    },
    subscribe: async (from, take) => {
      if (subscribed === undefined) throw new RangeError('a subscription needs its own connection');
      const consumer = subscribed.consumer();
      subscribed = undefined;
      const startFrom = from === 'start' ? 'BEGINNING' : { globalPosition };
      consumer.processor({ processorId: `processor ${processors++}`, startFrom, eachMessage: take });
      const ended = consumer.start();
      return async () => {
        await consumer.close();
        await ended;
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const connection of connections) connection.close();
    },
  };
}
