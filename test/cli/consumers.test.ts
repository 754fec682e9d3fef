import test from 'ava';
import { MAX_COUNTED_EVENTS } from '../../src/limits.js';
import type { ImageId } from '../../src/model/digest.js';
import { openStore } from '../../src/store/open/open-store.js';
import { understand } from './grammar.js';
import { archive, objectsOf, SESSION_START, type Session, startSession } from './session.js';

const HOUR_MS = 3_600_000;

/** Loads an image, and lets a consumer handle the first two of its three events. */
async function followed({ done, store: directory }: Session): Promise<void> {
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const store = await openStore(directory, { now: () => SESSION_START });
  const consumer = store.consumer('mirror@1');
  let left = 2;
  for await (const event of consumer) {
    await consumer.ack(event);
    left -= 1;
    if (left === 0) break;
  }
  await consumer.close();
  await store.close();
}

const TABLE = `CONSUMER  POSITION  BEHIND  UPDATED (UTC)
mirror@1         2       1  2026-01-31 12:00:00
`;

test('consumers lists who follows the log and how far each is', async (t) => {
  const session = await startSession(t);
  await followed(session);
  const { done } = session;
  t.is(await done('consumers'), TABLE);
  t.deepEqual(objectsOf(await done('consumers', '--json')), [
    { name: 'mirror@1', position: 2, behind: 1, updatedAt: '2026-01-31T12:00:00.000Z' },
  ]);
  t.is(await done('consumers', '--quiet'), 'mirror@1\n');
  for (const columns of [20, 40]) {
    const { stdout } = await session.runIn({ columns, env: { NO_COLOR: '1' } }, 'consumers');
    t.true(stdout.split('\n').every((line) => line.length <= Math.max(columns, 'CONSUMER  POSITION  BEHIND'.length)));
  }
});

test('a count that is a lower bound says so', async (t) => {
  const { done, store: directory } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const store = await openStore(directory);
  const [id] = [...store.map().keys()] as [ImageId];
  const consumer = store.consumer('names', { filter: { type: 'ReferenceSet' } });
  for await (const event of consumer) {
    await consumer.ack(event);
    break;
  }
  await consumer.close();
  const values = Array.from({ length: MAX_COUNTED_EVENTS + 1 }, () => store.setMetadata(id, 'k', new Uint8Array(1)));
  await Promise.all(values);
  await store.close();
  t.regex(await done('consumers'), /\nnames +3 +at least 0 /);
  t.like(objectsOf(await done('consumers', '--json')), [{ behind: 0, atLeast: true }]);
});

test('a store without consumers has a table with nothing but its head', async (t) => {
  const { done } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  t.is(await done('consumers'), 'CONSUMER  POSITION  BEHIND  UPDATED\n');
  t.is(await done('consumers', '--json'), '');
});

test('consumers reset makes one continue from the beginning, from an event, and from a moment', async (t) => {
  const session = await startSession(t);
  await followed(session);
  const { done, wait } = session;
  wait(HOUR_MS);
  await done('tag', '--quiet', 'tiny:1', 'a:1');
  const position = async (): Promise<unknown> => objectsOf(await done('consumers', '--json'))[0]?.['position'];
  t.is(await done('consumers', 'reset', 'mirror@1'), 'mirror@1 continues with event 1\n');
  t.is(await position(), 0);
  t.is(await done('consumers', 'reset', 'mirror@1', '--to', '#2'), 'mirror@1 continues with event 3\n');
  t.is(await position(), 2);
  t.is(await done('consumers', 'reset', 'mirror@1', '--to', '30m'), 'mirror@1 continues with event 4\n');
  t.is(await position(), 3);
  t.deepEqual(objectsOf(await done('consumers', 'reset', '--json', 'mirror@1', '--to', 'now')), [
    { name: 'mirror@1', position: 4 },
  ]);
  t.is(await position(), 4);
});

test('consumers rm forgets one', async (t) => {
  const session = await startSession(t);
  await followed(session);
  const { done, run } = session;
  t.is(await done('consumers', 'rm', 'mirror@1'), 'removed mirror@1\n');
  t.is(await done('consumers', '--json'), '');
  t.is((await run('consumers', 'rm', 'mirror@1')).code, 3);
});

test('an unknown consumer is not found, and an event that is not there yet is out of range', async (t) => {
  const session = await startSession(t);
  await followed(session);
  const { run } = session;
  for (const argv of [
    ['consumers', 'reset', 'nobody'],
    ['consumers', 'rm', 'nobody'],
  ]) {
    const { code, stdout, stderr } = await run(...argv);
    t.deepEqual({ code, stdout }, { code: 3, stdout: '' });
    t.regex(stderr, /\(CONSUMER_NOT_FOUND\)\nhint: `imagelog consumers` lists them\n$/);
  }
  const beyond = await run('consumers', 'reset', 'mirror@1', '--to', '99');
  t.is(beyond.code, 3);
  t.regex(beyond.stderr, /\(TIME_OUT_OF_RANGE\)/);
  t.is(await session.done('consumers'), TABLE, 'it is as it was');
});

test('consumers cannot be asked in the past, and takes only what it knows', async (t) => {
  t.is((await understand('at', '12', 'consumers')).code, 2);
  t.is((await understand('at', '12', 'consumers', 'rm', 'a')).code, 2);
  t.is((await understand('consumers', 'bogus')).code, 2);
  t.is((await understand('consumers', 'reset')).code, 2);
  t.is((await understand('consumers', 'reset', 'a', '--to', 'noon')).code, 2);
  t.like(await understand('--json', 'consumers', 'reset', 'a', '--to', '#7'), {
    action: 'consumers reset',
    args: ['a', { to: 7 }],
  });
});
