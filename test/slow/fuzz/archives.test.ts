import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../../src/errors.js';
import { fixturePath } from '../../support/fixtures.js';
import { footprint, temporaryStore } from '../../store/temporary-store.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

const archives = [
  'crane-app.tar',
  'oci-all.tar.gz',
  'oci-zstd.tar',
  'docker25-untagged.tar',
  'oci-multi-platform.tar',
  '../compressed/docker25-untagged.tar.xz',
  '../compressed/docker25-untagged.tar.zst',
  '../compressed/docker25-untagged-sha256.tar.xz',
  '../compressed/docker25-untagged-x86.tar.xz',
].map((name) => new Uint8Array(readFileSync(fixturePath('archives', name))));

test('an archive is loaded whole, or refused by what is wrong with it and the store is as it was', async (t) => {
  const store = await temporaryStore(t);
  await fuzz(
    t,
    mutated(fc.constantFrom(...archives)),
    async (bytes) => {
      const before = JSON.stringify(await footprint(store));
      try {
        await store.load(Readable.from([bytes]));
      } catch (error) {
        if (!isStoreError(error) || error.kind !== 'InvalidParameter') throw error;
        t.is(JSON.stringify(await footprint(store)), before);
      }
    },
    150,
  );
  // What was loaded is there, and can be saved.
  for await (const _ of store.save([...store.map().keys()]));
});
