import { join } from 'node:path';
import test from 'ava';
import { openOurStore } from '../../../../scripts/bench/event-peers/our-store.js';
import { peerPackage } from '../../../../scripts/bench/event-peers/peer-package.js';
import { BATCH_EVENTS, smallEvents } from '../../../../scripts/bench/event-peers/small-events.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

test('small events are of the same bytes in every batch, and our store takes each of them', async (t) => {
  const directory = await temporaryDirectory(t);
  const [first = [], second = [], third = []] = await smallEvents(directory, 3);
  t.deepEqual([first.length, second.length, third.length], [BATCH_EVENTS, BATCH_EVENTS, BATCH_EVENTS]);
  t.deepEqual(
    third.map(({ reference, image }) => [reference, image]),
    first.map(({ reference, image }) => [reference, image]),
  );
  t.true(second.every(({ image, previous }, index) => image !== previous && previous === first[index]?.image));

  await using peer = await openOurStore(join(directory, 'ours'));
  await peer.append(first);
  t.is(await peer.readAll(), BATCH_EVENTS);
  const seen: string[] = [];
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const unsubscribe = await peer.subscribe?.('start', () => {
    seen.push('event');
    if (seen.length === 2 * BATCH_EVENTS) finish();
  });
  await peer.append(second);
  await finished;
  await unsubscribe?.();
  t.is(seen.length, 2 * BATCH_EVENTS);
});

test('a peer that is not installed is an error that names it', (t) => {
  t.throws(() => peerPackage('a-peer-that-nobody-has'), { message: /a-peer-that-nobody-has/ });
});
