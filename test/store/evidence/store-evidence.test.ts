import test from 'ava';
import { checkProof, formatCheckpoint, parseCheckpoint } from '../../../src/log/checkpoint.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';

test('every event of a log is proved, at every size that the log had', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  const checkpoints: string[] = [];
  for (let at = 0; at < 6; at++) {
    await store.create(imageConfig(`${at}`));
    checkpoints.push(await store.checkpoint());
  }
  for (const event of await eventsOf(store)) {
    t.deepEqual((await checkProof(await store.prove(event.seq))).event, event);
    for (const checkpoint of checkpoints) {
      const { size } = parseCheckpoint(checkpoint);
      if (size < event.seq) await rejection(t, 'EVENT_NOT_FOUND', store.prove(event.seq, { checkpoint }));
      else t.deepEqual((await checkProof(await store.prove(event.seq, { checkpoint }), { checkpoint })).event, event);
    }
  }
});

test('while writers write, a proof is of a checkpoint that has its event', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  await Promise.all(
    Array.from({ length: 30 }, async (_, at) => {
      await store.create(imageConfig(`${at}`));
      const seq = store.log.head.seq;
      t.is((await checkProof(await store.prove(seq))).seq, seq);
    }),
  );
});

test('what is not there is not proved, and no checkpoint is written for it', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  await rejection(t, 'EVENT_NOT_FOUND', store.prove(1));
  for (const seq of [0, -1, 1.5, Number.NaN]) await t.throwsAsync(store.prove(seq), { instanceOf: RangeError });
});

test('a proof for a checkpoint that is not of this log, or of another history, is refused', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  await store.create(imageConfig('one'));
  const checkpoint = parseCheckpoint(await store.checkpoint());
  const forked = { ...checkpoint, root: new Uint8Array(32) };
  await rejection(t, 'CHECKPOINT_INVALID', store.prove(1, { checkpoint: 'x' }));
  await rejection(
    t,
    'CHECKPOINT_FOREIGN',
    store.prove(1, { checkpoint: formatCheckpoint({ ...checkpoint, origin: 'b' }) }),
  );
  await rejection(t, 'CHECKPOINT_FORKED', store.prove(1, { checkpoint: formatCheckpoint(forked) }));
  await rejection(t, 'CHECKPOINT_FORKED', store.prove(1, { checkpoint: formatCheckpoint({ ...checkpoint, size: 2 }) }));
});
