import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BackupReader } from '../../../src/store/backup/backup-reader.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { fixturePath } from '../../support/fixtures.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { newBackup } from './restored-store.js';

/* A client of C2SP tlog-tiles as somebody else would write it: it shares no line with the product. */

const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const node = (left: Buffer, right: Buffer): Buffer => sha256(Buffer.of(1), left, right);

type Fetch = (path: string) => Promise<Buffer>;

class TlogClient {
  readonly #fetch: Fetch;
  readonly size: number;
  readonly #root: Buffer;

  constructor(fetch: Fetch, checkpoint: string) {
    const [, size = '', root = ''] = checkpoint.split('\n');
    this.#fetch = fetch;
    this.size = Number(size);
    this.#root = Buffer.from(root, 'base64');
  }

  /** The entry `index`, after its inclusion in the tree of the checkpoint was shown. */
  async entry(index: number): Promise<Buffer> {
    const bundle = await this.#fetch(this.#path('entries', Math.floor(index / 256)));
    let at = 0;
    for (let skipped = 0; skipped < index % 256; skipped++) at += 2 + bundle.readUInt16BE(at);
    const entry = bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at));
    const root = await this.#rootOver(sha256(Buffer.of(0), entry), index, 0, this.size);
    if (!root.equals(this.#root)) throw new Error(`entry ${index} is not in the tree`);
    return entry;
  }

  /** The root of leaves [start, end), taking `leaf` for the hash of leaf `index` (RFC 6962, section 2.1). */
  async #rootOver(leaf: Buffer, index: number, start: number, end: number): Promise<Buffer> {
    if (end - start === 1) return start === index ? leaf : this.#hash(0, start);
    let split = 1;
    while (split * 2 < end - start) split *= 2;
    const isHere = index >= start && index < end;
    const level = Math.log2(end - start) / 8;
    if (!isHere && Number.isInteger(level)) return this.#hash(level, start / (end - start));
    const [left, right] = [[start, start + split] as const, [start + split, end] as const];
    return node(await this.#rootOver(leaf, index, ...left), await this.#rootOver(leaf, index, ...right));
  }

  async #hash(level: number, index: number): Promise<Buffer> {
    const tile = await this.#fetch(this.#path(`${level}`, Math.floor(index / 256)));
    return tile.subarray((index % 256) * 32, (index % 256) * 32 + 32);
  }

  #path(level: string, tile: number): string {
    const hashes = Math.floor(this.size / 256 ** (level === 'entries' ? 0 : Number(level)));
    const width = Math.min(256, hashes - tile * 256);
    const groups: string[] = [];
    for (let rest = tile; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
      groups.unshift(`${groups.length === 0 ? '' : 'x'}${String(rest % 1000).padStart(3, '0')}`);
    }
    return `tile/${level}/${groups.join('/')}${width === 256 ? '' : `.p/${width}`}`;
  }
}

/** Serves the files below `root` on this machine alone, and returns what fetches them. */
async function serve(t: ExecutionContext, root: string): Promise<Fetch> {
  const server: Server = createServer((request, response) => {
    readFile(join(root, new URL(request.url ?? '', 'http://localhost').pathname)).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  return async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}/${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  };
}

test('any tlog-tiles client reads a backup from a static server, and shows that its entries are in the tree', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: 1_100 }, () => store.setLastUpdated(idNamed('a'))));
  const fetch = await serve(t, await newBackup(t, store));
  const client = new TlogClient(fetch, (await fetch('checkpoint')).toString());
  t.is(client.size, store.log.head.seq);
  const events = await eventsOf(store);
  for (const index of [0, 1, 255, 256, 511, 512, 700, 1_023, 1_024, client.size - 1]) {
    const entry = await client.entry(index);
    t.true(entry.includes(events[index]?.actor ?? 'none'), `entry ${index}`);
  }
  const { size } = client;
  await t.throwsAsync(client.entry(size), undefined, 'there is no entry after the last');
});

test('a log that another implementation wrote is read by its own client and by the reader of backups', async (t) => {
  const root = fixturePath('merkle', 'tessera-log');
  const fetch = await serve(t, root);
  const client = new TlogClient(fetch, (await fetch('checkpoint')).toString());
  const reader = new BackupReader(root);
  const records = await reader.records(0, client.size);
  const leaves = Buffer.from(await reader.tile({ level: 0, index: 0, width: client.size }));
  t.is(records.length, client.size);
  for (const [index, record] of records.entries()) {
    t.deepEqual(await client.entry(index), Buffer.from(record));
    t.deepEqual(leaves.subarray(32 * index, 32 * index + 32), sha256(Buffer.of(0), record));
  }
});
