import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LevelLog } from '../../src/log/leveldb/level-log.js';
import type { ContentReader } from '../../src/log/log.js';
import { digestOf } from '../../src/model/digest.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { creationOf, entriesOf, eventsFrom } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestLog } from '../support/test-log.js';
import { bytesOf } from '../support/text-bytes.js';

async function newLog(t: ExecutionContext): Promise<LevelLog> {
  return openTestLog(t, join(await temporaryDirectory(t), 'log'));
}

/** Appends one event with content of these texts. */
async function keep(log: LevelLog, ...texts: readonly string[]): Promise<void> {
  const expectedHead = log.head.seq;
  const entries = entriesOf(eventsFrom(expectedHead + 1, [creationOf(`${expectedHead}`)]));
  const content = new Map(texts.map((text) => [digestOf(bytesOf(text)), bytesOf(text)]));
  await log.append({ expectedHead, entries, content });
}

async function textsIn(reader: ContentReader): Promise<string[]> {
  const texts: string[] = [];
  for await (const page of reader.pages()) {
    for (const { digest, bytes } of page) {
      if (digest !== digestOf(bytes)) throw new Error(`${digest} names other bytes`);
      texts.push(Buffer.from(bytes).toString());
    }
  }
  await reader.close();
  return texts.sort();
}

test('a reader gives all content of the moment that it was opened at', async (t) => {
  const log = await newLog(t);
  t.deepEqual(await textsIn(log.openContent()), []);
  await keep(log, 'a', 'b');
  const reader = log.openContent();
  await keep(log, 'c');
  t.deepEqual(await textsIn(reader), ['a', 'b']);
  t.deepEqual(await textsIn(log.openContent()), ['a', 'b', 'c']);
});

test('more content than a page holds is given once each, by digest', async (t) => {
  const log = await newLog(t);
  const texts = Array.from({ length: 2_500 }, (_, at) => `text ${at}`).sort();
  await keep(log, ...texts);
  t.deepEqual(await textsIn(log.openContent()), texts);
});

test('a reader of a log that is closed says so', async (t) => {
  const log = await newLog(t);
  await keep(log, 'a');
  const reader = log.openContent();
  await log.close();
  await rejection(t, 'STORE_CLOSED', textsIn(reader));
  storeError(t, 'STORE_CLOSED', () => log.openContent());
});
