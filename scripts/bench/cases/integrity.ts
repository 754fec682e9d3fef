import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventStore, openStore, restoreStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { formatSize } from '../format-number.js';
import { grownStore } from '../inputs/grown-store.js';
import { shareCopy } from '../inputs/shared-copy.js';
import { interleave, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 10_000;

/** What goes through the whole store, against reading every event of it. */
export const integrityBenchmark: Benchmark = {
  name: 'integrity',
  about: 'verify, backup and restore of a store, against reading every event; and the files of a backup',
  async run(context) {
    const images = IMAGES * context.scale;
    const original = await grownStore(images, context);
    const directory = await shareCopy(original, join(context.directory, 'store'));
    await using store = await openStore(directory, { layers: 'none', actor: 'bench' });
    return await measure(store, images, context);
  },
};

async function measure(store: EventStore, images: number, { directory, rounds }: BenchContext): Promise<Measured[]> {
  const [kept, target] = [join(directory, 'kept'), join(directory, 'target')];
  await store.backup(kept);
  const written = async (write: () => Promise<unknown>) => {
    const taken = await timeOf(write);
    await rm(target, { recursive: true });
    return taken;
  };
  const seconds = await interleave(rounds, {
    read: () => timeOf(() => readAll(store)),
    verify: () => timeOf(() => verifySound(store)),
    backup: () => written(() => store.backup(target)),
    restore: () => written(() => restoreStore(target, kept)),
  });
  const settings = 'each event read, checked against its hash and decoded, by store.log.read()';
  const line = { unit: 's', peer: { name: 'reading every event', values: seconds.read, settings } };
  const of = `of ${formatSize(images)} images`;
  const files = (await readdir(kept, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return [
    { ...line, name: `verify ${of}`, ours: seconds.verify, target: TARGETS.verify },
    { ...line, name: `backup ${of}`, ours: seconds.backup, target: TARGETS.backup },
    { ...line, name: `restore ${of}`, ours: seconds.restore, target: TARGETS.restore },
    { name: `backup ${of}`, unit: 'files', ours: [files.length], target: TARGETS.backupFiles },
  ];
}

async function readAll(store: EventStore): Promise<void> {
  let last = 0;
  for await (const { seq } of store.log.read()) last = seq;
  if (last !== store.log.head.seq) throw new RangeError(`expected ${store.log.head.seq} events, found ${last}`);
}

async function verifySound(store: EventStore): Promise<void> {
  const violations = await store.verify();
  if (violations.length > 0) throw new RangeError(`the store has ${violations.length} violations`);
}
