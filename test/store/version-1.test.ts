import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { eventToJSON } from '../../src/log/event-json.js';
import { EVENT_PREFIX, seqOfKey } from '../../src/log/rows.js';
import { rowsOfKind } from '../../src/log/stored-rows.js';
import { openLevel } from '../../src/log/leveldb/open-level.js';
import { bytesToHex } from '../../src/model/digest.js';
import { FORMAT_VERSION, readSidecar } from '../../src/store/open/sidecar.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { fixturePath } from '../support/fixtures.js';
import { imageConfig } from '../support/image-configs.js';
import { pastStateOf } from '../support/store-state.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** What the build that wrote the fixture answered; hashes in hex. */
interface Answers {
  readonly size: number;
  readonly root: string;
  readonly at: Readonly<Record<string, string>>;
  readonly events: string;
  readonly history: readonly number[];
}

const answers = JSON.parse(readFileSync(fixturePath('store-version-1', 'answers.json'), 'utf8')) as Answers;

async function oldStore(t: ExecutionContext): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'store');
  await mkdir(directory);
  execFileSync('tar', ['-xzf', fixturePath('store-version-1', 'store.tar.gz'), '-C', directory]);
  return directory;
}

function sum(value: unknown): string {
  const text = JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? bytesToHex(each) : each));
  return createHash('sha256').update(text).digest('hex');
}

async function givesTheAnswers(t: ExecutionContext, store: EventStore): Promise<void> {
  for (const [seq, expected] of Object.entries(answers.at))
    t.is(sum(pastStateOf(await store.at(Number(seq)))), expected);
  const hash = createHash('sha256');
  for await (const event of store.log.read({ to: answers.size }))
    hash.update(`${JSON.stringify(eventToJSON(event))}\n`);
  t.is(hash.digest('hex'), answers.events);
  const history: number[] = [];
  for await (const event of store.history('shop/app-0:prod', { to: answers.size })) history.push(event.seq);
  t.deepEqual(history, answers.history);
}

test('a store of version 1 is read without a change, and answers as the build that wrote it', async (t) => {
  const directory = await oldStore(t);
  await using store = await openStore(directory, { readOnly: true, layers: 'none' });
  t.is(store.log.head.seq, answers.size);
  t.is(bytesToHex(store.log.head.root), answers.root);
  await givesTheAnswers(t, store);
  t.is((await readSidecar(directory))?.version, 1);
});

test('a store of version 1 is upgraded when it is opened for writing: what is new shares rows, what is there stays', async (t) => {
  const directory = await oldStore(t);
  const store = await openStore(directory, { layers: 'none' });
  await Promise.all(Array.from({ length: 300 }, (_, at) => store.create(imageConfig(`new ${at}`))));
  await givesTheAnswers(t, store);
  t.deepEqual(await store.verify(), []);
  await store.close();
  t.is((await readSidecar(directory))?.version, FORMAT_VERSION);
  t.deepEqual(await verifyStore(directory), []);
  const database = await openLevel(join(directory, 'log'), false);
  const keys = (await database.keys(rowsOfKind(EVENT_PREFIX)).all()).map(seqOfKey);
  await database.close();
  t.deepEqual(
    keys.slice(0, answers.size),
    Array.from({ length: answers.size }, (_, at) => at + 1),
  );
  t.deepEqual(keys.slice(answers.size, answers.size + 4), [320, 384, 448, 512]);
  await using reader = await openStore(directory, { readOnly: true, layers: 'none' });
  await givesTheAnswers(t, reader);
});
