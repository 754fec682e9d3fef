import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { openStore } from '../../src/store/open/open-store.js';
import { StoreModel } from '../support/store-model.js';
import { anyOperation, outcomeOf } from '../support/store-operations.js';
import { stateOf } from '../support/store-state.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

test('after any operations, every read answers as the plain model does, also when opened again', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const property = fc.asyncProperty(fc.array(anyOperation, { minLength: 10, maxLength: 40 }), async (operations) => {
    const directory = join(root, `${run++}`);
    const model = new StoreModel();
    const store = await openStore(directory);
    for (const operation of operations) {
      t.deepEqual(await outcomeOf(store, operation), model.apply(operation));
      t.deepEqual(stateOf(store), model.state());
    }
    await store.close();
    const again = await openStore(directory, { create: false, readOnly: true });
    t.deepEqual(stateOf(again), model.state());
    await again.close();
  });
  await fc.assert(property, { numRuns: 25 });
});
