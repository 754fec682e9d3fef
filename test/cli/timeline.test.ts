import test from 'ava';
import fc from 'fast-check';
import { displayWidth } from '../../src/cli/render/display-width.js';
import { layOutStrip } from '../../src/cli/render/timeline.js';
import { archive, type Session, startSession } from './session.js';

const HOUR_MS = 3_600_000;
const plain = { NO_COLOR: '1' };

/** A tag that is set, moved, removed and set again to what it was at first. */
async function moves({ done, wait }: Session): Promise<void> {
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('tag', '--quiet', 'shop/app:1.0', 'shop/app:prod');
  wait(HOUR_MS);
  await done('tag', '--quiet', '--reason', 'release 2.0', '--request-id', 'REL-2', 'shop/app:2.0', 'shop/app:prod');
  wait(2 * HOUR_MS);
  await done('untag', '--quiet', '--actor', 'eve', '--reason', 'not released', 'shop/app:prod');
  wait(HOUR_MS);
  await done('tag', '--quiet', '--reason', 'back to 1.0', 'shop/app:1.0', 'shop/app:prod');
  wait(4 * HOUR_MS);
}

test('refs says what a name stands for, draws its life on one strip, and tells each period, the newest first', async (t) => {
  const session = await startSession(t);
  await moves(session);
  t.is(
    (await session.runIn({ columns: 80, env: plain }, 'refs', 'shop/app:prod')).stdout,
    `shop/app:prod → bb0c8ffbd8b1, for 4 h
since 2026-01-31 16:00 UTC, by tester: “back to 1.0”

bb0c8ffbd cb4c372bec4c                  bb0c8ffbd8b1
██████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓··········████████████████████████████████████████
2026-01-31 12:00                                                             now

  IMAGE         SINCE (UTC)       FOR  BY      WHY
█ bb0c8ffbd8b1  2026-01-31 16:00  4 h  tester  “back to 1.0”
· removed       2026-01-31 15:00  1 h  eve     “not released”
▓ cb4c372bec4c  2026-01-31 13:00  2 h  tester  “release 2.0” (REL-2)
█ bb0c8ffbd8b1  2026-01-31 12:00  1 h  tester
`,
  );
});

test('refs of a removed name says that it stands for nothing, and in a wide table the events', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  session.wait(HOUR_MS);
  await session.done('untag', '--quiet', 'tiny:1');
  session.wait(HOUR_MS);
  t.is(
    await session.done('refs', 'tiny:1'),
    `tiny:1 → nothing, for 1 h
removed 2026-01-31 13:00 UTC, by tester

bd10de19d2be
▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓········································
2026-01-31 12:00                                                             now

  IMAGE         SINCE (UTC)       FOR  BY      EVENT
· removed       2026-01-31 13:00  1 h  tester     #4
▓ bd10de19d2be  2026-01-31 12:00  1 h  tester     #3
`,
  );
});

test('refs counts in seconds where the minutes would be one', async (t) => {
  const { done, wait } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  for (const source of ['tiny:1', 'shop/app:1.0', 'tiny:1']) {
    await done('tag', '--quiet', source, 'a:1');
    wait(20_000);
  }
  const rows = (await done('refs', 'a:1')).split('\n').slice(-4, -1);
  t.deepEqual(rows, [
    '█ bd10de19d2be  2026-01-31 12:00:40  20 s  tester    #30',
    '▓ bb0c8ffbd8b1  2026-01-31 12:00:20  20 s  tester    #29',
    '█ bd10de19d2be  2026-01-31 12:00:00  20 s  tester    #28',
  ]);
});

test('refs says how many images of other platforms a name stands for', async (t) => {
  const { done } = await startSession(t);
  await done('load', '--quiet', archive('oci-multi-platform.tar'));
  t.regex(await done('refs', 'tiny:multi'), /^█ bd10de19d2be \+1 /m);
});

test('a name that moved forty times, and twice a second, has all its periods in a strip that fits', async (t) => {
  const session = await startSession(t);
  const { done, wait } = session;
  await done('load', '--quiet', archive('docker25-all.tar'));
  const sources = ['tiny:1', 'shop/app:1.0', 'shop/app:2.0', 'tiny-lib:1'];
  for (let at = 0; at < 40; at++) {
    await done('tag', '--quiet', sources[at % sources.length] ?? '', 'a:1');
    wait(at === 20 ? 1_000 * HOUR_MS : 500);
  }
  for (const columns of [40, 80, 120]) {
    const lines = (await session.runIn({ columns, env: plain }, 'refs', 'a:1')).stdout.split('\n');
    const strip = lines.find((line) => /^[█▓░▒]{10,}$/.test(line)) ?? '';
    t.is(displayWidth(strip), Math.min(columns, 100));
    t.is([...strip.matchAll(/█+|▓+|░+|▒+/g)].length, 40, 'neighbours look different');
    t.true(lines.every((line) => displayWidth(line) <= columns));
    t.is(lines.filter((line) => /^[█▓░▒] \w{12} /.test(line)).length, 40);
  }
});

test('the pieces of a strip fill it, in order, and each has a column as long as there are enough', (t) => {
  const durations = fc.array(fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 1e12 })), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(durations, fc.integer({ min: 1, max: 100 }), (all, columns) => {
      const pieces = all.map((durationMs) => ({ durationMs, label: 'bd10de19d2be' }));
      const { places, labels } = layOutStrip(pieces, columns);
      t.is(places[0]?.start, 0);
      t.is(places.at(-1)?.end, columns);
      for (const [at, { start, end }] of places.entries()) {
        t.is(start, places[at - 1]?.end ?? 0);
        t.true(end >= start + (pieces.length <= columns ? 1 : 0));
        t.true((labels[at] ?? '').length < Math.max(1, end - start));
      }
    }),
  );
});
