import { decodeRecord, encodeRecord } from '../../../src/log/record.js';
import type { EventPeer } from './event-peer.js';
import { peerPackage } from './peer-package.js';

/** The part of the API of `lmdb` used here. */
interface Lmdb {
  open(options: { path: string; overlappingSync: boolean }): Environment;
}
interface Environment {
  openDB(options: { name: string; encoding: 'binary'; keyEncoding?: 'binary' | 'uint32' }): Table;
  transactionSync(work: () => void): void;
  close(): Promise<void>;
}
interface Table {
  putSync(key: number | Uint8Array, value: Uint8Array): unknown;
  getRange(): Iterable<{ readonly value: Uint8Array }>;
}

const SEQ_BYTES = 4;
const NOTHING = new Uint8Array();

/** Opens two LMDB tables, as those of SQLite: a record by number, and numbers by name. */
export async function openLmdb(directory: string): Promise<EventPeer> {
  const { open } = peerPackage<Lmdb>('lmdb');
  const environment = open({ path: directory, overlappingSync: false });
  const events = environment.openDB({ name: 'events', encoding: 'binary', keyEncoding: 'uint32' });
  const subjects = environment.openDB({ name: 'subjects', encoding: 'binary', keyEncoding: 'binary' });
  let last = 0;
  return {
    name: 'LMDB tables',
    settings:
      'overlappingSync: false, so that each commit is that of LMDB: fdatasync of the data, then the meta page by a ' +
      'descriptor with O_DSYNC; transactionSync with putSync, the form that costs least; a transaction a batch',
    append: async (batch) =>
      environment.transactionSync(() => {
        for (const event of batch) {
          events.putSync(++last, encodeRecord(event));
          subjects.putSync(subjectKey(event.reference, last), NOTHING);
        }
      }),
    readAll: async () => {
      let count = 0;
      for (const { value } of events.getRange()) if (decodeRecord(value).seq > 0) count++;
      return count;
    },
    [Symbol.asyncDispose]: () => environment.close(),
  };
}

function subjectKey(subject: string, seq: number): Uint8Array {
  const key = Buffer.allocUnsafe(subject.length + 1 + SEQ_BYTES);
  const end = key.write(subject, 'latin1');
  key[end] = 0;
  key.writeUInt32BE(seq, end + 1);
  return key;
}
