import test from 'ava';
import type { EventStore } from '../../src/store/event-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { bytesOf, textOf } from '../support/text-bytes.js';
import { openTestStore } from '../support/test-store.js';
import { runExample } from './run-example.js';

const DAY_MS = 86_400_000;
const BEGIN = Date.UTC(2024, 2, 4);

/** Adds an image to the store: another one with the settings of `from` and a label `team`. */
async function build(store: EventStore, from: string, team: string, name: string): Promise<void> {
  const config = JSON.parse(textOf(store.get(store.resolve(from)).rawJSON())) as Record<string, unknown>;
  const labels = { team, name };
  const id = await store.create(bytesOf(JSON.stringify({ ...config, config: { Labels: labels } })));
  await store.tag({ source: id, target: `${team.toLowerCase().replaceAll(/[^a-z]/g, '')}/${name}:1` });
}

test('images per team over time are drawn a row a team, those deleted since with their labels', async (t) => {
  let day = 0;
  const store = await openTestStore(t, { now: () => BEGIN + day * DAY_MS });
  await store.load(archivePath('docker25-all.tar'));
  for (day of [4, 8, 12]) await build(store, 'shop/app:1.0', 'payments', `day-${day}`);
  for (day of [16, 20]) await build(store, 'shop/app:2.0', 'search\u001b[2J', `day-${day}`);
  for (day of [24, 28, 32]) await store.delete(store.resolve(`payments/day-${day - 20}:1`));
  day = 48;
  await store.setBuiltLocally(store.resolve('shop/app:1.0'));
  await store.close();

  const first = await runExample('team-images', [store.directory]);
  t.deepEqual(first, {
    code: 0,
    stderr: '',
    lines: [
      'TEAM                  2024-03-05                            2024-04-21   NOW  MOST',
      '(none)                ████████████████████████████████████████████████     5     5',
      'payments                 ▂▂▂▂▄▄▄▄▅▅▅▅▅▅▅▅▅▅▅▅▄▄▄▄▂▂▂▂                      0     3',
      'search?[2J                           ▂▂▂▂▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄     2     2',
    ],
  });
  t.deepEqual(await runExample('team-images', [store.directory]), first);
});

test('a store without images has no chart, and what is not a store is not made one', async (t) => {
  const store = await openTestStore(t);
  await store.close();
  t.deepEqual((await runExample('team-images', [store.directory])).lines, ['no image was ever in this store']);
  const { code, stderr } = await runExample('team-images', [`${store.directory}-none`]);
  t.is(code, 1);
  t.regex(stderr, /STORE_NOT_FOUND/);
});
