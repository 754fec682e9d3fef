import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRecord, encodeRecord } from '../../../src/log/record.js';
import type { EventPeer } from './event-peer.js';
import { peerPackage } from './peer-package.js';

interface Database {
  pragma(text: string): unknown;
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  transaction<Arguments extends readonly unknown[]>(work: (...args: Arguments) => void): (...args: Arguments) => void;
  close(): void;
}
interface Statement {
  run(...values: readonly unknown[]): unknown;
  iterate(): Iterable<{ readonly record: Uint8Array }>;
}

const TABLES = `
  CREATE TABLE events (seq INTEGER PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE subjects (subject TEXT, seq INTEGER, PRIMARY KEY (subject, seq)) WITHOUT ROWID;
`;

/** Opens hand-made tables: a row per event, and one to find it by name. */
export async function openSqliteTables(directory: string): Promise<EventPeer> {
  const BetterSqlite = peerPackage<new (path: string) => Database>('better-sqlite3');
  await mkdir(directory, { recursive: true });
  const database = new BetterSqlite(join(directory, 'events.sqlite'));
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec(TABLES);
  const insertEvent = database.prepare('INSERT INTO events (record) VALUES (?)');
  const insertSubject = database.prepare('INSERT INTO subjects VALUES (?, last_insert_rowid())');
  const select = database.prepare('SELECT record FROM events ORDER BY seq');
  const insertAll = database.transaction((rows: readonly { reference: string; record: Uint8Array }[]) => {
    for (const { reference, record } of rows) {
      insertEvent.run(record);
      insertSubject.run(reference);
    }
  });
  return {
    name: 'better-sqlite3 tables',
    settings:
      'journal_mode=WAL, synchronous=FULL; a transaction a batch; records in one table, an index of names in another',
    append: async (events) =>
      insertAll(events.map((event) => ({ reference: event.reference, record: encodeRecord(event) }))),
    readAll: async () => {
      let count = 0;
      for (const { record } of select.iterate()) if (decodeRecord(record).seq > 0) count++;
      return count;
    },
    [Symbol.asyncDispose]: async () => database.close(),
  };
}
