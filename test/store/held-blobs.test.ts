import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { digestHex, digestOf } from '../../src/model/digest.js';
import { BlobStore } from '../../src/store/layers/blob-store.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const BYTES = Uint8Array.of(1, 2, 3);
const DIGEST = digestOf(BYTES);

interface Fixture {
  readonly blobs: BlobStore;
  readonly kept: string;
  /** Names of the files that are staged. */
  staged(): Promise<string[]>;
}

async function fixture(t: ExecutionContext): Promise<Fixture> {
  const directory = join(await temporaryDirectory(t), 'blobs');
  const blobs = new BlobStore(directory);
  await blobs.makeDirectories();
  return { blobs, kept: join(directory, 'sha256'), staged: () => readdir(join(directory, 'staging')) };
}

test('held bytes have no file until they are kept, and can be read before', async (t) => {
  const { blobs, kept, staged } = await fixture(t);
  const file = blobs.hold(BYTES);
  t.deepEqual(await staged(), []);
  t.deepEqual(await chunksOf(file.read()), [BYTES]);
  await blobs.keep([{ file, digest: DIGEST }]);
  t.deepEqual(new Uint8Array(await readFile(join(kept, digestHex(DIGEST)))), BYTES);
  t.deepEqual(await staged(), []);
  await file.discard();
  t.is(blobs.size(DIGEST), BYTES.length);
});

test('held bytes of a blob that is there are not written', async (t) => {
  const { blobs, staged } = await fixture(t);
  await blobs.keep([{ file: blobs.hold(BYTES), digest: DIGEST }]);
  const again = blobs.hold(BYTES);
  // A write would fail: it has no folder.
  await rm(join(again.path, '..'), { recursive: true });
  await blobs.keep([{ file: again, digest: DIGEST }]);
  await mkdir(join(again.path, '..'));
  t.deepEqual(await staged(), []);
});

test('held bytes that cannot be kept fail the load of all, and leave no file when they are discarded', async (t) => {
  const { blobs, kept, staged } = await fixture(t);
  const all = Array.from({ length: 40 }, (_, index) => Uint8Array.of(index));
  const held = all.map((bytes) => ({ file: blobs.hold(bytes), digest: digestOf(bytes) }));
  // A folder in the place of the blob: of another size, so it is to be replaced, and cannot be.
  const [first] = held;
  if (first === undefined) return t.fail();
  await mkdir(join(kept, digestHex(first.digest), 'in'), { recursive: true });
  await rejection(t, 'IO_FAILED', blobs.keep(held));
  const left = await staged();
  for (const { file } of held) await file.discard();
  t.true(left.length > 0);
  t.deepEqual(await staged(), []);
});

async function chunksOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
