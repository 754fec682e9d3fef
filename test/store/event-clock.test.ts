import { join } from 'node:path';
import test from 'ava';
import { MAX_CLOCK_BEHIND_MS } from '../../src/limits.js';
import { restoreStore } from '../../src/store/backup/restore.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

const AHEAD = Date.parse('2036-02-07T06:28:16Z');
const NOW = Date.parse('2026-11-29T12:00:00Z');

test('events after a start far in the future have the time of the clock too, and a notice says why', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  let clock = AHEAD;
  const notices: string[] = [];
  const options = { directory, now: () => clock, onNotice: (notice: string) => void notices.push(notice) };
  const store = await openTestStore(t, options);
  await store.create(imageConfig('a'));
  clock = NOW;
  await store.create(imageConfig('a'));
  t.deepEqual(notices, [], 'a command without events has no time');
  await store.create(imageConfig('b'));
  clock += 5;
  await store.tag({ source: idNamed('b'), target: 'x:1' });
  t.is(notices.length, 1, 'one notice');
  t.regex(
    notices[0] ?? '',
    /^the clock says 2026-11-29T12:00:00.000Z, and the last event, 1, .* 2036-02-07T06:28:16.000Z/,
  );
  clock = AHEAD - MAX_CLOCK_BEHIND_MS;
  await store.untag('x:1');
  clock -= 1;
  await store.tag({ source: idNamed('b'), target: 'x:1' });
  t.is(notices.length, 2, 'and again when it falls behind again');
  clock = AHEAD + 1;
  await store.untag('x:1');
  const events = await eventsOf(store);
  t.deepEqual(
    events.map(({ time, clock: own }) => [time - AHEAD, own]),
    [
      [0, undefined],
      [0, NOW],
      [0, NOW + 5],
      [0, undefined],
      [0, AHEAD - MAX_CLOCK_BEHIND_MS - 1],
      [1, undefined],
    ],
  );
  t.false('clock' in (events[0] ?? {}), 'other events have no such field');
  t.deepEqual(await store.verify(), []);
  await store.backup(join(directory, '..', 'backup'));
  await restoreStore(join(directory, '..', 'second'), join(directory, '..', 'backup'));
  const second = await openTestStore(t, { directory: join(directory, '..', 'second') });
  t.deepEqual(await eventsOf(second), events);
});
