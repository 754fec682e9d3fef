import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { imagesOf } from '../../../projections/references.js';
import { isStoreError } from '../../../src/errors.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { wrongFiles } from '../temporary-store.js';
import {
  anyArtifactOperation,
  artifactWorld,
  type ArtifactWorld,
  bytesIn,
  NAMES,
  performed,
  worldStateOf,
} from './artifact-world.js';

type Moments = ReadonlyMap<number, Record<string, unknown>>;

test('after loads, names, removals and erasures in any order the store is whole, and its past and copies are the same', async (t) => {
  const root = await temporaryDirectory(t);
  const world = await artifactWorld();
  let run = 0;
  const property = fc.asyncProperty(
    fc.array(anyArtifactOperation(world), { minLength: 5, maxLength: 20 }),
    async (operations) => {
      const directory = join(root, `${run++}`);
      const options = { snapshotEvery: 7 };
      const store = await openStore(directory, options);
      const moments = new Map([[0, worldStateOf(store, world)]]);
      for (const operation of operations) {
        await performed(store, world, operation);
        moments.set(store.log.head.seq, worldStateOf(store, world));
      }
      t.deepEqual(await store.verify(), []);
      await checkSaved(t, store, world, `${directory}-saved`);
      await checkPast(t, store, world, moments);
      await store.backup(`${directory}-backup`);
      await store.close();
      t.deepEqual(await wrongFiles(directory), []);
      await rm(join(directory, 'snapshots'), { recursive: true, force: true });
      await checkReopened(t, directory, world, moments);
      await restoreStore(`${directory}-restored`, `${directory}-backup`);
      await checkReopened(t, `${directory}-restored`, world, moments);
      t.deepEqual(await wrongFiles(`${directory}-restored`), []);
      for (const each of ['', '-backup', '-restored', '-saved'])
        await rm(`${directory}${each}`, { recursive: true, force: true });
    },
  );
  await fc.assert(property, { numRuns: 20 });
});

async function checkPast(
  t: ExecutionContext,
  store: EventStore,
  world: ArtifactWorld,
  moments: Moments,
): Promise<void> {
  for (const [seq, state] of moments) t.deepEqual(worldStateOf(await store.at(seq), world), state);
}

async function checkReopened(
  t: ExecutionContext,
  directory: string,
  world: ArtifactWorld,
  moments: Moments,
): Promise<void> {
  await using store = await openStore(directory, { create: false, snapshotEvery: 0 });
  const [seq, last] = [...moments].at(-1) as [number, Record<string, unknown>];
  t.is(store.log.head.seq, seq);
  t.deepEqual(worldStateOf(store, world), last);
  t.deepEqual(await store.verify(), []);
  await checkPast(t, store, world, moments);
  await store.rebuild();
  t.deepEqual(worldStateOf(store, world), last);
}

/** Everything that is named can be saved unless a part of it was erased, and comes back with its digests. */
async function checkSaved(
  t: ExecutionContext,
  store: EventStore,
  { disguised }: ArtifactWorld,
  directory: string,
): Promise<void> {
  const names = store.referenceEntries();
  for (const format of ['oci', 'docker'] as const) {
    const chunks: Uint8Array[] = [];
    const notices: string[] = [];
    if (names.length === 0) return;
    try {
      for await (const chunk of store.save(
        names.map(({ reference }) => reference),
        { format, onNotice: (text) => notices.push(text) },
      ))
        chunks.push(chunk);
    } catch (error) {
      if (!isStoreError(error, 'CONTENT_ERASED') && !isStoreError(error, 'BLOB_MISSING')) throw error;
      t.true(store.erasures().size > 0);
      return;
    }
    await using other = await openStore(`${directory}/${format}`);
    await other.load(bytesIn(...chunks));
    if (notices.length > 0 || store.erasures().size > 0) continue;
    for (const { reference, image, target, platforms } of names) {
      const entry = other.referenceEntries().find((each) => each.reference === reference);
      // Where a manifest is both, an archive of both makes it one.
      if (store.artifacts().some(({ artifact }) => artifact.digest === disguised)) continue;
      // An index that another name brings whole is whole for both.
      const found = entry === undefined ? [] : imagesOf(entry);
      t.true(
        imagesOf({ image, platforms }).every((id) => found.includes(id)),
        reference,
      );
      t.is(entry?.target?.digest, target?.digest, reference);
    }
    t.deepEqual(
      NAMES.filter((name) => names.every(({ reference }) => reference !== name)).filter((name) =>
        other.referenceEntries().some(({ reference }) => reference === name),
      ),
      [],
    );
  }
}
