import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openLife } from '../../../../scripts/bench/inputs/life-log.js';
import {
  type GrownTransaction,
  growingImages,
  nameOf,
  replacedImages,
} from '../../../../scripts/bench/inputs/grown-images.js';
import { fill, SAMPLES_FILE } from '../../../../scripts/bench/inputs/grown-store.js';
import { shareCopy } from '../../../../scripts/bench/inputs/shared-copy.js';
import { openStore } from '../../../../src/index.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

const eventsIn = (transactions: Iterable<GrownTransaction>): number =>
  [...transactions].reduce((sum, { events }) => sum + events.length, 0);

test('a grown store has its images, all but the first with a parent, and one in ten with a name', async (t) => {
  const directory = await temporaryDirectory(t);
  await fill(directory, growingImages(60), 60);
  await using store = await openLife(directory);
  t.is(store.len(), 60);
  t.is(store.log.head.seq, eventsIn(growingImages(60)));
  t.is([...store.map().keys()].filter((id) => store.children(id).length === 3).length, 19);
  t.is(store.referenceEntries().length, 6);
  const samples = JSON.parse(await readFile(join(directory, SAMPLES_FILE), 'utf8')) as string[];
  t.deepEqual([...samples].sort(), [...store.map().keys()].sort());
  t.true((await readdir(join(directory, 'snapshots'))).length >= 4);
});

test('an aged store has few images and many events', async (t) => {
  const directory = await temporaryDirectory(t);
  await fill(directory, replacedImages(10, 300), 100);
  await using store = await openLife(directory);
  t.is(store.len(), 10);
  t.true(store.log.head.seq >= 300);
  t.deepEqual(
    store.referenceEntries().map(({ reference }) => reference),
    Array.from({ length: 10 }, (_, index) => nameOf(index * 10)).sort(),
  );
});

test('what is written to a shared copy is not in the original', async (t) => {
  const directory = await temporaryDirectory(t);
  const original = join(directory, 'original');
  await fill(original, growingImages(20), 20);
  const copy = await openStore(await shareCopy(original, join(directory, 'copy')), { layers: 'none', actor: 'test' });
  const [image] = copy.map().keys();
  if (image === undefined) throw new RangeError('the copy is empty');
  await copy.tag({ source: image, target: 'new/name:1' });
  await copy.close();
  await using store = await openLife(original);
  t.is(store.log.head.seq, eventsIn(growingImages(20)));
  t.is(store.referenceEntries().length, 2);
});
