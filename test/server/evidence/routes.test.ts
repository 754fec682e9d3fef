import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { checkProof, parseCheckpoint } from '../../../src/log/checkpoint.js';
import {
  checkConsistency,
  checkInclusion,
  leafHash,
  parseEntries,
  proveConsistency,
  proveInclusion,
  tilePath,
  type TileReader,
} from '../../../src/log/merkle.js';
import { parseVerifierKey } from '../../../src/log/note.js';
import type { Access } from '../../../src/server/access/access.js';
import { localAccess } from '../../../src/server/access/access.js';
import { openTestStore } from '../../support/test-store.js';
import { ORIGIN, servedLog, signedStore, writeEvents } from './served-log.js';

const FOREVER = 'max-age=31536000, immutable';

/** Reads the tiles of a served log. */
function tilesAt(log: string): TileReader {
  return {
    readTile: async (tile) => {
      const response = await fetch(`${log}/${tilePath(tile)}`);
      if (response.status !== 200) throw new Error(`${tilePath(tile)}: ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

async function textAt(url: string): Promise<string> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(`${url}: ${response.status}`);
  return response.text();
}

/** Gets a path as it is, without what `fetch` does to it. */
function rawGet(log: string, path: string, headers: Record<string, string> = {}) {
  const { hostname, port } = new URL(log);
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>((resolve, reject) => {
    const sent = request({ hostname, port, path: `/log/${path}`, headers }, (response) => {
      buffer(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        reject,
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('every entry and the growth of the log are proved from what is served', async (t) => {
  const store = await signedStore(t, 300);
  const log = await servedLog(t, store);
  const verifier = await parseVerifierKey((await textAt(`${log}/key`)).trim());
  t.is(verifier.name, ORIGIN);
  const before = parseCheckpoint(await textAt(`${log}/checkpoint`));
  t.is(before.size, 300);
  await writeEvents(store, 250);
  const { size, root } = parseCheckpoint(await textAt(`${log}/checkpoint`));
  t.is(size, 550);
  const tiles = tilesAt(log);
  for (const [path, first] of [
    ['tile/entries/000', 0],
    ['tile/entries/001', 256],
    ['tile/entries/002.p/38', 512],
  ] as const) {
    const response = await fetch(`${log}/${path}`);
    const records = parseEntries(new Uint8Array(await response.arrayBuffer()));
    for (const [at, record] of records.entries()) {
      const index = first + at;
      const proof = await proveInclusion(tiles, index, size);
      t.notThrows(() => checkInclusion({ index, leafHash: leafHash(record), tree: { size, root } }, proof));
    }
  }
  const growth = await proveConsistency(tiles, before.size, size);
  t.notThrows(() => checkConsistency({ from: before, to: { size, root } }, growth));
});

test('a proof is checked with the served key', async (t) => {
  const store = await signedStore(t, 5);
  const log = await servedLog(t, store);
  const response = await fetch(`${log}/proofs/3`);
  t.is(response.headers.get('content-type'), 'text/plain; charset=utf-8');
  t.is(response.headers.get('cache-control'), 'no-cache');
  const { event } = await checkProof(await response.text(), { key: (await textAt(`${log}/key`)).trim() });
  t.is(event?.seq, 3);
});

test('a checkpoint is of the head, not of an earlier one', async (t) => {
  const store = await signedStore(t, 1);
  const log = await servedLog(t, store);
  for (let size = 1; size < 6; size++) {
    const response = await fetch(`${log}/checkpoint`);
    t.is(response.headers.get('content-type'), 'text/plain; charset=utf-8');
    t.is(response.headers.get('cache-control'), 'no-cache');
    const checkpoint = parseCheckpoint(await response.text());
    t.is(checkpoint.size, size);
    t.is(checkpoint.signatures.length, 1);
    await writeEvents(store, 1);
  }
});

test('tiles may be kept for ever, full and partial ones', async (t) => {
  const log = await servedLog(t, await signedStore(t, 300));
  for (const [path, length] of [
    ['tile/0/000', 8_192],
    ['tile/0/000.p/7', 7 * 32],
    ['tile/0/001.p/44', 44 * 32],
    ['tile/0/001.p/1', 32],
    ['tile/1/000.p/1', 32],
  ] as const) {
    const { status, headers, body } = await rawGet(log, path, { 'accept-encoding': 'gzip' });
    t.is(status, 200, path);
    t.is(body.length, length);
    t.like(headers, {
      'content-type': 'application/octet-stream',
      'cache-control': FOREVER,
      'content-length': `${length}`,
      'content-encoding': undefined,
    });
  }
});

test('bundles are compressed for who accepts that', async (t) => {
  const log = await servedLog(t, await signedStore(t, 300));
  const plain = await rawGet(log, 'tile/entries/000', { 'accept-encoding': 'identity' });
  const small = await rawGet(log, 'tile/entries/000', { 'accept-encoding': 'gzip' });
  for (const { headers } of [plain, small]) t.like(headers, { 'cache-control': FOREVER, vary: 'Accept-Encoding' });
  t.is(plain.headers['content-encoding'], undefined);
  t.is(small.headers['content-encoding'], 'gzip');
  t.true(small.body.length < plain.body.length);
  t.deepEqual(gunzipSync(small.body), plain.body);
  t.is(parseEntries(plain.body).length, 256);
});

test('what the log does not have is 404, and is not kept', async (t) => {
  const store = await signedStore(t, 300);
  const log = await servedLog(t, store);
  const head = store.log.head.seq;
  for (const path of [
    'tile/0/001',
    'tile/0/001.p/45',
    'tile/0/002.p/1',
    'tile/1/000',
    'tile/1/000.p/2',
    'tile/2/000.p/1',
    'tile/entries/001',
    'tile/entries/001.p/45',
    'tile/entries/002.p/1',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/00',
    'tile/00/000',
    'tile/8/0/000',
    'tile/7/000.p/1',
    'tile/0/000/',
    'tile/0/x999/x999/x999/x999/x999/x999/999',
    'tile/',
    'tile',
    'tile/0',
    '',
    'checkpoint/',
    'proofs/0',
    'proofs/301',
    'proofs/01',
    'proofs/-1',
    'proofs/1e2',
    'proofs/9999999999999999',
    'proofs/99999999999999999999',
    'entries/1',
  ]) {
    const { status, headers, body } = await rawGet(log, path);
    t.is(status, 404, path);
    t.is(headers['cache-control'], 'no-store', path);
    t.is(typeof JSON.parse(body.toString()).errors[0].code, 'string');
  }
  t.is(store.log.head.seq, head);
});

test('HEAD answers as GET does, without the bytes', async (t) => {
  const log = await servedLog(t, await signedStore(t, 300));
  for (const path of ['checkpoint', 'key', 'tile/0/000', 'tile/entries/001.p/44', 'proofs/1']) {
    const [get, head] = [await fetch(`${log}/${path}`), await fetch(`${log}/${path}`, { method: 'HEAD' })];
    t.is(head.status, 200);
    t.is((await head.arrayBuffer()).byteLength, 0);
    for (const name of ['content-type', 'cache-control']) t.is(head.headers.get(name), get.headers.get(name));
  }
});

test('without a signer there is no key, and the checkpoint has no signature', async (t) => {
  const store = await openTestStore(t);
  const log = await servedLog(t, store);
  t.is((await fetch(`${log}/key`)).status, 404);
  const empty = parseCheckpoint(await textAt(`${log}/checkpoint`));
  t.is(empty.size, 0);
  t.is(empty.signatures.length, 0);
  t.is((await fetch(`${log}/tile/0/000.p/1`)).status, 404);
});

test('who may not read gets nothing of the log', async (t) => {
  const asked: unknown[] = [];
  const access: Access = {
    ...localAccess,
    authenticate: async (credentials) => ({
      ...(await localAccess.authenticate(credentials)),
      may: (action, repository) => {
        asked.push([action, repository]);
        return false;
      },
    }),
  };
  const log = await servedLog(t, await signedStore(t, 3), { access });
  for (const path of ['checkpoint', 'key', 'tile/0/000.p/3', 'tile/entries/000.p/3', 'proofs/1']) {
    const response = await fetch(`${log}/${path}`);
    t.is(response.status, 403, path);
    t.is(response.headers.get('cache-control'), 'no-store');
  }
  t.deepEqual(
    asked,
    Array.from({ length: 5 }, () => ['read', undefined]),
  );
});

test('of a server in the past, checkpoint, tiles and proofs are of the log as it was', async (t) => {
  const store = await signedStore(t, 300);
  const was = parseCheckpoint(await store.checkpoint());
  await writeEvents(store, 300);
  const log = await servedLog(t, store, { at: 300 });
  const served = parseCheckpoint(await textAt(`${log}/checkpoint`));
  t.is(served.size, 300);
  t.deepEqual(served.root, was.root);
  t.is(served.signatures.length, 1);
  t.is((await fetch(`${log}/tile/0/001.p/44`)).status, 200);
  for (const path of ['tile/0/001', 'tile/0/001.p/45', 'tile/entries/001.p/45', 'tile/1/000.p/2', 'proofs/301']) {
    t.is((await fetch(`${log}/${path}`)).status, 404, path);
  }
  const proof = await checkProof(await textAt(`${log}/proofs/300`), { key: store.verifierKey ?? '' });
  t.is(proof.checkpoint.size, 300);
  // The file of the head is as it was.
  t.is(parseCheckpoint(await store.checkpoint()).size, 600);
});
