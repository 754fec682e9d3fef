import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { openStore } from '../../../src/store/open/open-store.js';
import { fixturePath } from '../../support/fixtures.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { bytesOf } from '../../support/text-bytes.js';
import { type Answers, answersOf } from './answers.js';

/** A closed store whose events stand in a table and in a write-ahead log, and what it answers. */
export interface WholeStore {
  readonly directory: string;
  readonly answers: Answers;
  /** Last seq. */
  readonly seq: number;
}

/**
 * Makes a store of layers, images, tags, metadata and a consumer, written singly and in batches, in two sessions: the first
 * stands in a table, the second in the write-ahead log. Removed by `removeWholeStore`.
 */
export async function makeWholeStore(): Promise<WholeStore> {
  const directory = join(await mkdtemp(join(tmpdir(), 'imagelog-whole-')), 'store');
  let now = 1_000;
  const options = { actor: 'tester', now: () => now++ };
  const first = await openStore(directory, options);
  await first.load(fixturePath('archives', 'docker25-untagged.tar'), { reason: 'loaded' });
  for (const name of ['a', 'b', 'c']) await first.create(imageConfig(name));
  await first.tag({ source: idNamed('a'), target: 'shop/app:1' });
  await first.consumer('reader').close();
  await first.close();
  const second = await openStore(directory, options);
  for (const name of ['d', 'e', 'f', 'g']) await second.create(imageConfig(name));
  await second.tag({ source: idNamed('b'), target: 'shop/app:1' }, { reason: 'moved' });
  await Promise.all(['h', 'i', 'j'].map((name) => second.create(imageConfig(name), { actor: 'another' })));
  await second.setMetadata(idNamed('a'), 'key', bytesOf('value'));
  await second.setParent(idNamed('b'), idNamed('a'));
  const consumer = second.consumer('reader');
  for await (const event of consumer) {
    await consumer.ack(event);
    if (event.seq === 5) break;
  }
  await consumer.close();
  await second.delete(idNamed('j'));
  const { seq } = second.log.head;
  await second.close();
  // Opening moves what is in the write-ahead log into tables: it is done with a copy.
  const copy = join(directory, '..', 'copy');
  await cp(directory, copy, { recursive: true });
  const answers = await answersOf(copy, { readOnly: true });
  await rm(copy, { recursive: true });
  return { directory, answers, seq };
}

/** Removes what `makeWholeStore` made. */
export async function removeWholeStore({ directory }: WholeStore): Promise<void> {
  await rm(join(directory, '..'), { recursive: true, force: true });
}

/** Returns the directory of a copy of a store, removed when the test ends. */
export async function copyOf(t: ExecutionContext, { directory }: WholeStore): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), 'imagelog-damaged-'));
  t.teardown(() => rm(place, { recursive: true, force: true }));
  await cp(directory, join(place, 'store'), { recursive: true });
  return join(place, 'store');
}

/** Names of the files of the log that end so, sorted. */
export async function logFiles(directory: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(join(directory, 'log'))).filter((name) => pattern.test(name)).sort();
}
