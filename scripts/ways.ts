import { Session } from 'node:inspector/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openStore } from '../src/index.js';

/*
 * Prints how many source files a call passes through: those with a function that V8 ran between two
 * coverage snapshots. A warm-up call excludes lazy loading. `node dist/scripts/ways.js --files`
 * lists them.
 */

const DIST = new URL('..', import.meta.url).href;
const [WARM, ARCHIVE] = ['docker25-untagged.tar', 'docker25-all.tar'].map((name) =>
  fileURLToPath(new URL(`../../test/fixtures/archives/${name}`, import.meta.url)),
) as [string, string];
const LIMITS: Readonly<Record<string, number>> = { create: 25, open: 50, load: 45, 'resolve --at': 14 };

const session = new Session();
session.connect();

async function filesOf(call: () => Promise<unknown>): Promise<string[]> {
  await session.post('Profiler.takePreciseCoverage');
  await call();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  return (
    result
      .filter(({ url }) => url.startsWith(`${DIST}src/`) || url.startsWith(`${DIST}projections/`))
      // The first function of a script is its module body, run on load.
      .filter(({ functions }) => functions.slice(1).some(({ ranges }) => (ranges[0]?.count ?? 0) > 0))
      .map(({ url }) => url.slice(DIST.length).replace(/\.js$/, '.ts'))
      .sort()
  );
}

function config(name: string): Uint8Array {
  const text = {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { name } },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  return new TextEncoder().encode(JSON.stringify(text));
}

async function measure(directory: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const ways = new Map<string, readonly string[]>();
  const store = await openStore(directory);
  try {
    const id = await store.create(config('warm'));
    ways.set('create', await filesOf(() => store.create(config('create'))));
    await store.load(WARM);
    ways.set('load', await filesOf(() => store.load(ARCHIVE)));
    await store.tag({ source: id, target: 'shop/app:1' });
    const at = store.log.head.seq;
    await store.resolve('shop/app:1', { at });
    ways.set('resolve --at', await filesOf(() => store.resolve('shop/app:1', { at })));
  } finally {
    await store.close();
  }
  await (await openStore(directory)).close();
  let open: (() => Promise<void>) | undefined;
  ways.set(
    'open',
    await filesOf(async () => {
      const again = await openStore(directory);
      open = () => again.close();
    }),
  );
  await open?.();
  return ways;
}

await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
const place = await mkdtemp(join(tmpdir(), 'imagelog-ways-'));
try {
  const ways = await measure(join(place, 'store'));
  console.log('call          files  at most');
  for (const [call, limit] of Object.entries(LIMITS)) {
    const files = ways.get(call) ?? [];
    console.log(`${call.padEnd(13)} ${String(files.length).padStart(5)}  ${String(limit).padStart(7)}`);
    if (process.argv.includes('--files')) for (const file of files) console.log(`  ${file}`);
  }
} finally {
  session.disconnect();
  await rm(place, { recursive: true });
}
