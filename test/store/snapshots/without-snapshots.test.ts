import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { openStore } from '../../../src/store/open/open-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { anyOperation, outcomeOf } from '../../support/store-operations.js';
import { stateOf } from '../../support/store-state.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { footprint } from '../temporary-store.js';

/** All that a store answers, of now and of some of its past. */
async function answers(store: EventStore): Promise<unknown> {
  const { seq } = store.log.head;
  const past: unknown[] = [];
  for (const at of new Set([0, Math.floor(seq / 3), seq - 1, seq])) {
    if (at < 0) continue;
    const then = await store.at(at);
    const ids = [...then.map().keys()];
    past.push([at, ids, ids.map((id) => then.children(id)), [...then.heads().keys()], then.referenceEntries()]);
  }
  return { state: stateOf(store), footprint: await footprint(store), past };
}

test('after any operations, a store without its snapshots answers as with them', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const operations = fc.array(anyOperation, { minLength: 5, maxLength: 40 });
  const property = fc.asyncProperty(
    operations,
    operations,
    fc.integer({ min: 1, max: 9 }),
    async (before, after, every) => {
      const directory = join(root, `${run++}`);
      const notices: string[] = [];
      const options = { snapshotEvery: every, onNotice: (notice: string) => void notices.push(notice) };
      const store = await openStore(directory, options);
      for (const operation of before) await outcomeOf(store, operation);
      await store.close();
      const again = await openStore(directory, options);
      for (const operation of after) await outcomeOf(again, operation);
      const live = await answers(again);
      await again.close();
      const fromSnapshot = await openStore(directory, options);
      t.deepEqual(await answers(fromSnapshot), live);
      await fromSnapshot.close();
      await rm(join(directory, 'snapshots'), { recursive: true, force: true });
      const folded = await openStore(directory, { ...options, readOnly: true });
      t.deepEqual(await answers(folded), live);
      await folded.close();
      t.deepEqual(notices, []);
    },
  );
  await fc.assert(property, { numRuns: 15 });
});
