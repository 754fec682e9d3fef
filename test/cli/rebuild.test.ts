import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { eventKey, treeKey } from '../../src/log/rows.js';
import { openStore } from '../../src/store/open/open-store.js';
import { fewDescriptors, withCalls } from '../support/replaced-calls.js';
import { tamper } from '../support/test-log.js';
import { archive, startSession } from './session.js';

test('rebuild says what it rebuilt, and changes no answer', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker20-all.tar'));
  const before = await session.done('log', '--json');
  t.regex(
    await session.done('rebuild'),
    /^rebuilt from \d+ events: subject index, Merkle tree, snapshots, checkpoint\n$/,
  );
  t.is(await session.done('log', '--json'), before);
  t.is(await session.done('rebuild', '--quiet'), '');
  const { log, lostContent, root } = JSON.parse(await session.done('rebuild', '--json')) as Record<string, unknown>;
  t.deepEqual([log, lostContent], ['kept', []]);
  t.regex(String(root), /^[0-9a-f]{64}$/);
});

test('a log without its CURRENT file is refused with a hint that helps', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker20-all.tar'));
  const before = await session.done('log', '--json');
  await rm(join(session.store, 'log', 'CURRENT'));
  const refused = await session.run('images');
  t.is(refused.code, 4);
  t.regex(refused.stderr, /hint: .*`imagelog rebuild`/);
  t.regex(
    await session.done('rebuild'),
    /the database was damaged and is new; the old one is in .*log\.damaged-1\n.*log\.damaged-1 keeps/,
  );
  t.is(await session.done('log', '--json'), before);
  t.true((await readdir(session.store)).includes('log.damaged-1'));
});

test('who has no descriptor left is told so, and not to rebuild', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker20-all.tar'));
  // All events are in a table then, and the write-ahead log is empty.
  await (await openStore(session.store)).close();
  for (let most = 0; ; most++) {
    const few = fewDescriptors(most, 'EMFILE', join(session.store, 'log'));
    const { code, stderr } = await withCalls(few, () => session.run('images'));
    if (code === 0) break;
    t.is(code, 1);
    t.regex(stderr, /^imagelog: cannot (?:read|look at) .*: EMFILE: .* \(IO_FAILED\)\n$/, `${most}`);
  }
});

test('a row of the tree that no event gives goes with the next open', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker20-all.tar'));
  await tamper(join(session.store, 'log'), (database) => database.put(treeKey(1, 0), new Uint8Array(32)));
  await session.done('stats');
  const [image] = (await session.done('images', '--quiet')).split('\n');
  await session.done('tag', image as string, 'other:2');
  await tamper(join(session.store, 'log'), async (database) => {
    t.false(await database.has(treeKey(1, 0)));
  });
});

test('events that are lost are named, with the hint to restore', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker20-all.tar'));
  await tamper(join(session.store, 'log'), (database) => database.del(eventKey(1)));
  const { code, stderr } = await session.run('rebuild');
  t.is(code, 4);
  t.regex(
    stderr,
    /event 1 can no longer be read; restore a backup\. Without one, .* \(LOG_CORRUPT\)\nhint: restore a backup/,
  );
});

test('a lost last event is accepted by the number that the error names', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker20-all.tar'));
  const { seq } = (JSON.parse((await session.done('log', '--json', '--reverse', '--limit', '1')).trim()) ?? {}) as {
    readonly seq: number;
  };
  await session.done('tag', 'tiny:1', 'x:1');
  await tamper(join(session.store, 'log'), (database) => database.del(eventKey(seq + 1)));
  const refused = await session.run('rebuild');
  t.is(refused.code, 4);
  t.regex(refused.stderr, new RegExp(`event ${seq + 1} can no longer be read; .*--accept-loss ${seq}`));
  const wrong = await session.run('rebuild', '--accept-loss', '1');
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /\(LOSS_MISMATCH\)\nhint: nothing was changed/);
  const { code, stdout, stderr } = await session.run('rebuild', '--accept-loss', String(seq));
  t.is(code, 0, stderr);
  t.regex(stderr, new RegExp(`notice: the store continues without event ${seq + 1}: .*checkpoint.lost-after-${seq}`));
  t.regex(stdout, new RegExp(`^rebuilt from ${seq} events`));
  t.regex((await session.run('verify')).stderr, /notice: checkpoint.lost-after-\d+ proves events that were lost/);
  t.is((await session.run('resolve', 'x:1')).code, 3);
});
