import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Level } from 'level';
import { formatCheckpoint } from '../../../src/log/checkpoint.js';
import { eventKey, treeKey } from '../../../src/log/rows.js';
import { rowOf } from '../../support/event-rows.js';
import { Frontier } from '../../../src/log/merkle.js';
import { decodeRecord, encodeRecord } from '../../../src/log/record.js';
import { HASH_BYTES } from '../../../src/model/digest.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import type { VerifyOptions, Violation } from '../../../src/store/verify/verify-source.js';
import { fixturePath } from '../../support/fixtures.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { tamper } from '../../support/test-log.js';

export type Rows = Level<Uint8Array, Uint8Array>;

/** What `level` is on Node. */
interface ClassicLevel {
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
}

/** Origin of the stores that are made here. */
export const ORIGIN = 'example.com/verified';

/** Makes a closed store with something of everything: three tiles of events, layers, manifests, references, a consumer, snapshots. */
async function makeStore(directory: string): Promise<void> {
  let now = 1_000_000;
  const options = { actor: 'tester', origin: ORIGIN, now: () => now++ };
  await using store = await openStore(directory, options);
  await store.load(fixturePath('archives', 'docker25-all.tar'));
  await store.load(fixturePath('archives', 'skopeo-tiny-1.tar'));
  const names = Array.from({ length: 600 }, (_, at) => `image ${at}`);
  await Promise.all(names.map((name) => store.create(imageConfig(name))));
  await store.setParent(idNamed('image 2'), idNamed('image 1'));
  await store.snapshot();
  await store.tag({ source: idNamed('image 2'), target: 'example.com/one:1' }, { reason: 'release' });
  await store.setMetadata(idNamed('image 2'), 'key', Uint8Array.of(1, 2, 3));
  await store.delete(idNamed('image 1'));
  const consumer = store.consumer('mirror@1');
  for await (const event of consumer) {
    await consumer.ack(event);
    break;
  }
  await consumer.close();
}

/** Makes one store for all tests of a file. Returns how a test gets a copy of it. */
export function storeToDamage(): (t: ExecutionContext) => Promise<DamagedStore> {
  let folder = '';
  test.before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagelog-test-'));
    await makeStore(join(folder, 'store'));
  });
  test.after.always(() => rm(folder, { recursive: true, force: true }));
  return async (t) => {
    const directory = join(await temporaryDirectory(t), 'store');
    await cp(join(folder, 'store'), directory, { recursive: true });
    return new DamagedStore(directory);
  };
}

/** A copy of a closed store, to be damaged. */
export class DamagedStore {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Changes rows below everything that checks. */
  rows(change: (rows: Rows) => Promise<unknown>): Promise<void> {
    return tamper(this.path('log'), async (rows) => void (await change(rows)));
  }

  /** Makes tables of all that is in LevelDB's write-ahead log. */
  compact(): Promise<void> {
    return this.rows((rows) => (rows as unknown as ClassicLevel).compactRange(Uint8Array.of(0), Uint8Array.of(0xff)));
  }

  /** Changes the value of one row. */
  row(key: Uint8Array, change: (value: Uint8Array) => Uint8Array): Promise<void> {
    return this.rows(async (rows) => {
      const value = Uint8Array.from((await rows.get(key)) as Uint8Array);
      await rows.put(key, change(value));
    });
  }

  /**
   * Rewrites records as somebody would who has the disk and knows the format: leaf hashes and tree with them, and without the
   * checkpoint and the snapshots, which would tell.
   */
  async forge(change: (event: StoredEvent) => Uint8Array | StoredEvent | undefined): Promise<void> {
    await rm(this.path('snapshots'), { recursive: true, force: true });
    await rm(this.path('checkpoint'), { force: true });
    await this.rows(async (rows) => {
      const tree = new Frontier();
      for await (const [key, row] of rows.iterator({ gte: eventKey(1), lte: eventKey(Number.MAX_SAFE_INTEGER) })) {
        const record = row.subarray(HASH_BYTES + 1);
        const changed = change(decodeRecord(record)) ?? record;
        const forged = rowOf(changed instanceof Uint8Array ? changed : encodeRecord(changed));
        await rows.put(key, forged);
        for (const { level, index, hash } of tree.append(forged.slice(0, HASH_BYTES))) {
          await rows.put(treeKey(level, index), hash);
        }
      }
    });
  }

  async writeCheckpoint(size: number, root: Uint8Array, origin = ORIGIN): Promise<void> {
    await writeFile(this.path('checkpoint'), formatCheckpoint({ origin, size, root, extensions: [] }));
  }

  verify(options?: VerifyOptions): Promise<readonly Violation[]> {
    return verifyStore(this.directory, options);
  }
}

/** Returns violations as `CODE place`, in the order of their codes. */
export function briefly(violations: readonly Violation[]): string[] {
  return violations.map(({ code, place }) => `${code} ${place}`).sort();
}

/** Returns `bytes` with one bit of the byte at `at` flipped; counted from the end when negative. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, (bytes.at(at) as number) ^ 1);
}
