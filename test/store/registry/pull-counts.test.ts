import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_PULL_FILE_BYTES, MAX_PULL_HOURS, PULL_FLUSH_MS } from '../../../src/limits.js';
import { PullCounts } from '../../../src/store/registry/pull-counts.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const HOUR_MS = 60 * 60 * 1_000;
const START = Date.parse('2026-11-30T09:20:00Z');

async function counting(t: ExecutionContext, more: { readonly readOnly?: boolean; readonly directory?: string } = {}) {
  const { directory = await temporaryDirectory(t), readOnly = false } = more;
  const place = { directory, readOnly, time: START, notices: [] as string[] };
  const options = {
    directory,
    readOnly,
    now: () => place.time,
    onNotice: (text: string) => void place.notices.push(text),
  };
  return { place, counts: new PullCounts(options), path: join(directory, 'pulls.json') };
}

test('pulls are counted by reference and hour, and are there after the store was closed', async (t) => {
  const { place, counts, path } = await counting(t);
  counts.count('docker.io/shop/app:1');
  counts.count('docker.io/shop/app:1');
  place.time += 3 * HOUR_MS;
  counts.count('docker.io/shop/app:1');
  counts.count('docker.io/shop/app:2');
  await counts.flush();
  t.deepEqual(JSON.parse(await readFile(path, 'utf8')).counts['docker.io/shop/app:2'], {
    [String(START / HOUR_MS + 3 - 1 / 3).slice(0, 6)]: 1,
  });
  const again = await counting(t, { directory: place.directory, readOnly: true });
  const lastHour = Date.parse('2026-11-30T12:00:00Z');
  t.deepEqual(again.counts.all(), [
    { reference: 'docker.io/shop/app:1', pulls: 3, lastHour },
    { reference: 'docker.io/shop/app:2', pulls: 1, lastHour },
  ]);
  t.is(again.counts.of('docker.io/shop/app:3'), undefined);
  again.counts.count('docker.io/shop/app:2');
  t.is(again.counts.of('docker.io/shop/app:2')?.pulls, 1);
});

test('they are written a while after the first, and at the end', async (t) => {
  t.is(PULL_FLUSH_MS, 60_000);
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory);
  store.registry.countPull('docker.io/shop/app:1');
  t.is(store.stats().pulls, 1);
  await store.close();
  const reader = await openStore(directory, { readOnly: true });
  t.is(reader.registry.pulls('docker.io/shop/app:1')[0]?.pulls, 1);
  t.deepEqual(reader.registry.pulls('docker.io/shop/app:2'), []);
  t.is(reader.log.head.seq, 0);
  await reader.close();
});

test('of too many hours the oldest go first', async (t) => {
  const { place, counts } = await counting(t);
  for (let hour = 0; hour < 10; hour++) {
    for (let name = 0; name < MAX_PULL_HOURS / 10; name++) counts.count(`docker.io/shop/${name}:1`);
    place.time += HOUR_MS;
  }
  t.is(counts.of('docker.io/shop/0:1')?.pulls, 10);
  counts.count('docker.io/shop/0:1');
  t.is(counts.of('docker.io/shop/0:1')?.pulls, 10);
  t.is(counts.of('docker.io/shop/1:1')?.pulls, 9);
});

test('a file that cannot be read is reported, and counting begins again', async (t) => {
  const { place, counts, path } = await counting(t);
  await writeFile(path, '{"version":2,"counts":{}}');
  t.deepEqual(counts.all(), []);
  t.regex(place.notices.join(), /the counted pulls are lost: cannot read .*pulls\.json: its version is 2, expected 1/);
  const large = await counting(t);
  await writeFile(large.path, new Uint8Array(MAX_PULL_FILE_BYTES + 1));
  t.deepEqual(large.counts.all(), []);
  t.regex(large.place.notices.join(), /it has more than 67108864 bytes/);
  large.counts.count('docker.io/shop/app:1');
  await large.counts.flush();
  const odd = { version: 1, counts: { 'a/b:1': { 1: 2, x: 3, 4: -1 }, 'a/b:2': 'no' } };
  await writeFile(large.path, JSON.stringify(odd));
  const again = await counting(t, { directory: large.place.directory });
  t.is(again.counts.of('a/b:1')?.pulls, 2);
});

test('a failure to write is a notice, and what was counted is written next time', async (t) => {
  const { place, counts } = await counting(t, { directory: join(await temporaryDirectory(t), 'gone') });
  counts.count('docker.io/shop/app:1');
  await counts.flush();
  t.regex(place.notices.join(), /pulls were counted and not written/);
  t.is(counts.of('docker.io/shop/app:1')?.pulls, 1);
});
