import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { openStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured, Target } from '../benchmark.js';
import { hasProgram, runShell } from '../child-process.js';
import { formatBytes } from '../format-number.js';
import { bytesOfFiles, writeRandomArchive } from '../inputs/random-archive.js';
import { type Figure, interleave, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const MIB = 1024 * 1024;
const LAYERS = 8;
const LAYER_BYTES = 48 * MIB;

type Compression = 'none' | 'gzip' | 'zstd';

/** Without it our store decompresses zstd in JavaScript: slower, and of no target. */
const hasZstd = 'createZstdDecompress' in zlib;

const TARGETS_OF: Readonly<Record<Compression, { floor: Target | undefined; skopeo: Target | undefined }>> = {
  none: { floor: TARGETS.loadPlain, skopeo: TARGETS.loadPlainToSkopeo },
  gzip: { floor: TARGETS.loadGzip, skopeo: TARGETS.loadGzipToSkopeo },
  zstd: { floor: hasZstd ? TARGETS.loadZstd : undefined, skopeo: undefined },
};

/**
 * cp, sync and openssl dgst in sequence; $1 is the archive, $2 an empty folder, $3 its files. Bytes
 * are copied, synced and hashed once. Compressed layers have two digests, one of the decompressed
 * bytes. A load runs these concurrently and may be faster.
 */
const FLOORS: Readonly<Record<Compression, string>> = {
  none: 'cp "$1" "$2/copy" && sync "$2/copy" "$2" && openssl dgst -sha256 "$1"',
  gzip: compressedFloor('gzip -dc'),
  zstd: compressedFloor('zstd -dcq'),
};

function compressedFloor(decompress: string): string {
  return (
    'cp "$1" "$2/copy" && sync "$2/copy" "$2" && openssl dgst -sha256 "$1" && ' +
    `find "$3" -type f -size +256k -exec sh -c "${decompress} {} | openssl dgst -sha256" ";"`
  );
}

const FLOOR_SETTINGS: Readonly<Record<Compression, string>> = {
  none: 'the archive copied, the copy synced, the archive hashed, by one tool at a time; a load does these side by side',
  gzip: 'gzip layers: each is decompressed and hashed after that, too, by gzip -dc | openssl dgst, one layer at a time',
  zstd: 'zstd layers: as gzip, by zstd -dc',
};

const SKOPEO =
  'skopeo copy --quiet --insecure-policy --dest-oci-accept-uncompressed-layers "docker-archive:$1" "oci:$2/layout" && ' +
  'find "$2" -exec sync {} +';
const SKOPEO_SETTINGS =
  '--dest-oci-accept-uncompressed-layers, without which it compresses plain layers: the fastest it has; ' +
  'its files synced again, since it syncs blobs and not index.json; it decompresses the layers of a docker archive to read them';

/** Loading an archive into a new store, plain and compressed, against system tools and skopeo. */
export const loadBenchmark: Benchmark = {
  name: 'load',
  about:
    'load an archive, layers plain, gzip and zstd, against cp, sync and openssl dgst, one after another, and against skopeo',
  async run(context) {
    const lines = [...(await measureLoad(context, 'none')), ...(await measureLoad(context, 'gzip'))];
    if (await hasProgram('zstd')) return [...lines, ...(await measureLoad(context, 'zstd'))];
    context.leaveOut('load of zstd layers', 'zstd is not installed');
    return lines;
  },
};

async function measureLoad(context: BenchContext, compression: Compression): Promise<Measured[]> {
  const { directory, rounds, scale, say, leaveOut } = context;
  const archive = join(directory, `${compression}.tar`);
  const files = join(directory, `${compression}-files`);
  say(`writes the archive (${compression})`);
  const shape = { layers: LAYERS, layerBytes: LAYER_BYTES * scale, seed: 1, compression };
  await writeRandomArchive(archive, shape);
  await mkdir(files);
  await runShell('tar -xf "$1" -C "$2"', archive, files);
  const hasSkopeo = await hasProgram('skopeo');
  if (!hasSkopeo) leaveOut('skopeo copy', 'skopeo is not installed');
  const seconds = await interleave<'floor' | 'skopeo' | 'ours', Figure>(rounds, {
    floor: () => secondsOfShell(directory, FLOORS[compression], archive, files),
    skopeo: () => (hasSkopeo ? secondsOfShell(directory, SKOPEO, archive) : 0),
    ours: () => secondsOfLoad(directory, archive),
  });
  await rm(archive);
  await rm(files, { recursive: true });
  const kind = compression === 'none' ? 'plain' : compression;
  const line = {
    name: `load of ${formatBytes(bytesOfFiles(shape))}, ${kind} layers`,
    unit: 's',
    ours: seconds.ours,
  } as const;
  const name = 'cp, sync and openssl dgst, one after another';
  const targets = TARGETS_OF[compression];
  const floor = {
    ...line,
    peer: { name, values: seconds.floor, settings: FLOOR_SETTINGS[compression] },
    target: targets.floor,
  };
  if (!hasSkopeo) return [floor];
  const skopeo = { name: 'skopeo copy', values: seconds.skopeo, settings: SKOPEO_SETTINGS };
  return [floor, { ...line, peer: skopeo, target: targets.skopeo }];
}

/** Times a shell `line`: $1 is the archive, $2 an empty folder, $3 further arguments. */
async function secondsOfShell(directory: string, line: string, archive: string, ...args: string[]): Promise<Timed> {
  const copies = join(directory, 'copies');
  await mkdir(copies);
  const taken = await timeOf(() => runShell(line, archive, copies, ...args));
  await rm(copies, { recursive: true });
  return taken;
}

async function secondsOfLoad(directory: string, archive: string): Promise<Timed> {
  const path = join(directory, 'store');
  const store = await openStore(path);
  const taken = await timeOf(() => store.load(archive));
  const { layers } = store.stats();
  if (layers !== LAYERS) throw new RangeError(`the store has ${layers} layers, expected ${LAYERS}`);
  await store.close();
  await rm(path, { recursive: true });
  return taken;
}
