import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRecord, encodeRecord } from '../../../src/log/record.js';
import type { EventPeer } from './event-peer.js';
import { peerPackage } from './peer-package.js';

interface Core {
  readonly length: number;
  readonly state: { readonly storage: { readonly store: { readonly rocks: Rocks } } };
  ready(): Promise<void>;
  append(blocks: readonly Uint8Array[]): Promise<unknown>;
  createReadStream(options: { start: number; end?: number; live?: boolean }): BlockStream;
  close(): Promise<void>;
}
interface Rocks {
  currentWalFile(): Promise<{ readonly path: string }>;
}
interface BlockStream extends AsyncIterable<Uint8Array> {
  on(event: 'data', take: (block: Uint8Array) => void): unknown;
  destroy(): void;
}

/** Opens hypercore, with the records of our log as blocks. */
export async function openHypercore(directory: string): Promise<EventPeer> {
  const Hypercore = peerPackage<new (directory: string) => Core>('hypercore');
  const core = new Hypercore(directory);
  await core.ready();
  const wal = new SyncedWal(directory, core.state.storage.store.rocks);
  return {
    name: 'hypercore',
    settings:
      'append writes to the log of RocksDB and has no option to sync it; here fdatasync of that file follows each',
    append: async (events) => {
      await core.append(events.map((event) => encodeRecord(event)));
      await wal.sync();
    },
    readAll: async () => {
      let count = 0;
      for await (const block of core.createReadStream({ start: 0, end: core.length }))
        if (decodeRecord(block).seq > 0) count++;
      return count;
    },
    subscribe: async (from, take) => {
      const stream = core.createReadStream({ start: from === 'start' ? 0 : core.length, live: true });
      stream.on('data', (block) => {
        if (decodeRecord(block).seq > 0) take();
      });
      // It ends with the next block or the core; no need to wait.
      return async () => stream.destroy();
    },
    [Symbol.asyncDispose]: async () => {
      await wal[Symbol.asyncDispose]();
      await core.close();
    },
  };
}

/** The current RocksDB WAL file; replaced when a memory table is full. */
class SyncedWal implements AsyncDisposable {
  readonly #directory: string;
  readonly #rocks: Rocks;
  #path = '';
  #file: Awaited<ReturnType<typeof open>> | undefined;

  constructor(directory: string, rocks: Rocks) {
    this.#directory = directory;
    this.#rocks = rocks;
  }

  async sync(): Promise<void> {
    const { path } = await this.#rocks.currentWalFile();
    if (path !== this.#path) {
      await this.#file?.close();
      this.#file = await open(join(this.#directory, 'db', path), 'r');
      this.#path = path;
    }
    await this.#file?.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }
}
