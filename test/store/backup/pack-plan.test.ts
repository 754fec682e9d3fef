import test from 'ava';
import fc from 'fast-check';
import { MAX_PACK_BYTES, MAX_PACKED_CONTENT_BYTES } from '../../../src/limits.js';
import { type Digest, digestOf } from '../../../src/model/digest.js';
import { PackBuild, PackHead } from '../../../src/store/backup/pack.js';
import { type ExistingPack, planPacks } from '../../../src/store/backup/write-backup.js';
import { bytesOf } from '../../support/text-bytes.js';

/** Carries out a plan: the packs of the next backup, each as full as it can be. */
function nextPacks(content: ReadonlyMap<Digest, number>, packs: readonly ExistingPack[]): ExistingPack[] {
  const { kept, written } = planPacks(content, packs);
  const next = [...kept];
  let waiting: { digest: Digest; size: number }[] = [];
  const close = (): void => {
    const head = PackHead.of(waiting);
    next.push({ path: head.name, head });
    waiting = [];
  };
  for (const digest of [...written].sort()) {
    const one = { digest, size: content.get(digest) as number };
    if (PackHead.of([...waiting, one]).fileBytes > MAX_PACK_BYTES) close();
    waiting.push(one);
  }
  if (waiting.length > 0) close();
  return next;
}

const digestAt = (at: number): Digest => digestOf(bytesOf(`${at}`));

test('after any runs each content is in one pack, and packs are few', (t) => {
  const size = fc.oneof(fc.nat(2_000), fc.nat(MAX_PACKED_CONTENT_BYTES));
  const run = fc.record({
    added: fc.array(size, { maxLength: 40 }),
    erased: fc.array(fc.nat(500), { maxLength: 2 }),
    // What a killed run leaves: packs that were replaced.
    leavesOld: fc.boolean(),
  });
  const property = fc.property(fc.array(run, { minLength: 1, maxLength: 25 }), (runs) => {
    const content = new Map<Digest, number>();
    let packs: ExistingPack[] = [];
    let count = 0;
    for (const { added, erased, leavesOld } of runs) {
      for (const bytes of added) content.set(digestAt(count++), bytes);
      for (const at of erased) content.delete(digestAt(at));
      const next = nextPacks(content, packs);
      const found = next.flatMap(({ head }) => [...head.contents()].map(({ digest }) => digest));
      t.deepEqual(found.sort(), [...content.keys()].sort());
      const bytes = next.reduce((sum, { head }) => sum + head.fileBytes, 0);
      const most = Math.ceil((2 * bytes) / MAX_PACK_BYTES) + Math.log2(runs.length) + 3;
      t.true(next.length <= most, `${next.length} packs of ${bytes} bytes`);
      packs = leavesOld ? [...new Map([...packs, ...next].map((pack) => [pack.path, pack])).values()] : next;
    }
    t.deepEqual(planPacks(content, nextPacks(content, packs)).written, new Set(), 'nothing is new');
  });
  fc.assert(property, { numRuns: 60 });
});

test('of packs that a killed run left beside the one that it merged them into, that one stays', (t) => {
  const contents = Array.from({ length: 9 }, (_, at) => ({ digest: digestAt(at), size: 100 }));
  contents.sort((one, other) => (one.digest < other.digest ? -1 : 1));
  const packOf = (from: number, to: number): ExistingPack => {
    const head = PackHead.of(contents.slice(from, to));
    return { path: head.name, head };
  };
  const [all, first, second] = [packOf(0, 9), packOf(0, 4), packOf(4, 9)];
  const plan = planPacks(new Map(contents.map(({ digest, size }) => [digest, size])), [first, all, second]);
  t.deepEqual(plan, { kept: [all], written: new Set() });
});

test('a pack takes what fits and no byte more', (t) => {
  const pack = new PackBuild();
  const content = new Uint8Array(MAX_PACKED_CONTENT_BYTES);
  t.true(pack.isEmpty);
  for (let at = 0; pack.hasRoomFor(content.length); at++) pack.add(digestAt(at), content);
  const left = MAX_PACK_BYTES - pack.finish().bytes.length - 36;
  t.true(pack.hasRoomFor(left));
  t.false(pack.hasRoomFor(left + 1));
  pack.add(digestAt(-1), new Uint8Array(left));
  const { name, bytes } = pack.finish();
  t.is(bytes.length, MAX_PACK_BYTES);
  t.regex(name, /^[0-9a-f]{64}$/);
});
