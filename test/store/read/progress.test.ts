import test from 'ava';
import { openStore } from '../../../src/store/open/open-store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { openTestStore } from '../../support/test-store.js';

const EVENTS = 3_000;

test('a read tells how much of its range it has looked through, also where nothing matches', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: EVENTS - 1 }, () => store.setLastUpdated(idNamed('a'))));
  for (const reverse of [false, true]) {
    for (const range of [{}, { from: 11 }, { to: EVENTS - 10 }, { from: 6, to: EVENTS - 5 }]) {
      const total = (range.to ?? EVENTS) - (range.from ?? 1) + 1;
      const steps: number[] = [];
      const onProgress = (events: number, all: number): void => {
        t.is(all, total);
        steps.push(events);
      };
      const filter = { type: 'LayerRemoved' } as const;
      for await (const { seq } of store.log.read({ ...range, reverse, filter, onProgress })) t.fail(`${seq}`);
      t.true(steps.length > 2, `${steps}`);
      t.deepEqual(
        steps,
        [...new Set(steps)].sort((one, other) => one - other),
      );
      t.is(steps.at(-1), total);
    }
  }
});

test('an open tells of the events that it replays, and of none where a snapshot has them', async (t) => {
  const store = await openTestStore(t, { snapshotEvery: 0 });
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: EVENTS - 1 }, () => store.setLastUpdated(idNamed('a'))));
  const opened = async (): Promise<(readonly [number, number])[]> => {
    const steps: (readonly [number, number])[] = [];
    const onProgress = (events: number, total: number): void => void steps.push([events, total]);
    await (await openStore(store.directory, { readOnly: true, onProgress })).close();
    return steps;
  };
  const steps = await opened();
  t.deepEqual(steps.at(-1), [EVENTS, EVENTS]);
  t.true(steps.length > 1);
  await store.snapshot();
  t.deepEqual(await opened(), []);
});

test('what takes progress must be a function', async (t) => {
  const store = await openTestStore(t);
  const wrong = { onProgress: 1 } as object;
  await t.throwsAsync(openStore(store.directory, { readOnly: true, ...wrong }), { instanceOf: TypeError });
  t.throws(() => store.log.read(wrong), { instanceOf: TypeError });
});
