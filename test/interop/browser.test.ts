import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { build, type Metafile } from 'esbuild';
import { chromium, type Page } from 'playwright-core';
import { generatePrivateKey, parsePrivateKey } from '../../src/log/note.js';
import { signCheckpoint } from '../../src/log/checkpoint.js';
import { encodeRecord } from '../../src/log/record.js';
import { bytesToHex } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { requires } from '../support/requires.js';
import * as inNode from './in-browser.js';

const inChromium = requires('chromium');
const ORIGIN = 'example.org/images';
const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

inChromium('the views of a log and its root are in Chromium what they are in Node', async (t) => {
  const records = (await recordsOf(await loadedStore(t))).map(bytesToHex);
  const page = await pageWith(t, await bundle());
  const found = await page.evaluate((given) => inBrowser.fold(given), records);
  t.is(found, inNode.fold(records));
  t.regex(found, /"docker\.io\//);
});

inChromium('a damaged record is refused in Chromium, and a sound proof by a key is taken', async (t) => {
  const store = await loadedStore(t);
  const { proof, key } = await signedProof(store, 2);
  const page = await pageWith(t, await bundle());
  const checked = (text: string): Promise<string> =>
    page.evaluate(([given, by]) => inBrowser.checkProof(given, by), [text, key] as const);
  t.is(await checked(proof), await inNode.checkProof(proof, key));
  t.regex(await checked(proof), /^event 2, \w+, by key$/);
  t.is(await checked(proof.replace('\nindex 1\n', '\nindex 0\n')), 'PROOF_REJECTED');
  t.is(
    await checked(proof.replace(/(\n— .{30})(.)/, (_, start, letter) => start + (letter === 'A' ? 'B' : 'A'))),
    'SIGNATURE_INVALID',
  );
});

inChromium('the bundle has the portable hash, and nothing of Node or LevelDB', async (t) => {
  const { inputs } = (await bundle()).metafile;
  const paths = Object.keys(inputs);
  t.true(paths.some((path) => path.endsWith('src/model/sha256-portable.js')));
  t.deepEqual(
    paths.filter((path) => /sha256-node|leveldb|\/level\/|node_modules\/buffer/.test(path)),
    [],
  );
  const external = Object.values(inputs).flatMap(({ imports }) => imports.filter((imported) => imported.external));
  t.deepEqual(external, []);
});

/** What the bundle puts on the page. */
declare const inBrowser: typeof inNode;

interface Bundle {
  readonly code: string;
  readonly metafile: Metafile;
}

/** Bundles what runs in the browser as a program for one would be, without a shim. */
async function bundle(): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(dirname(fileURLToPath(import.meta.url)), 'in-browser.js')],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'inBrowser',
    write: false,
    metafile: true,
  });
  return { code: outputFiles[0]?.text ?? '', metafile };
}

/** Opens a page of this machine with the bundle; from the loopback, because a browser signs and checks nowhere less safe. */
async function pageWith(t: ExecutionContext, { code }: Bundle): Promise<Page> {
  const server = createServer((request, response) => {
    const isCode = request.url === '/bundle.js';
    response.setHeader('content-type', isCode ? 'text/javascript' : 'text/html');
    response.end(isCode ? code : '<!doctype html><meta charset="utf-8"><script src="bundle.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM_ARGS });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return page;
}

async function loadedStore(t: ExecutionContext): Promise<EventStore> {
  const store = await temporaryStore(t, { origin: ORIGIN });
  await store.load(archivePath('oci-all.tar'));
  return store;
}

async function recordsOf(store: EventStore): Promise<Uint8Array[]> {
  const records: Uint8Array[] = [];
  for await (const event of store.log.read()) records.push(encodeRecord(event));
  return records;
}

/** The proof of an event in a checkpoint that a new key signs. */
async function signedProof(store: EventStore, seq: number): Promise<{ proof: string; key: string }> {
  const { seq: size, root } = store.log.head;
  const signer = await parsePrivateKey(await generatePrivateKey(ORIGIN));
  const checkpoint = await signCheckpoint({ origin: ORIGIN, size, root, extensions: [] }, signer);
  return { proof: await store.prove(seq, { checkpoint }), key: signer.verifierKey };
}
