import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchContext, Measured } from '../benchmark.js';
import { formatBytes } from '../format-number.js';
import { bytesOfFiles, writeRandomImage } from '../inputs/random-archive.js';
import { memoryOf } from '../peak-memory.js';
import { interleave } from '../rounds.js';
import { TARGETS } from '../targets.js';
import { type RegistryKind, SERVE } from './registry-kinds.js';
import { push, withClient } from './transfers.js';

const LAYER_BYTES = 1_000_000_000;

/** Peak memory of servers that take one large layer. */
export async function memoryLines(
  { scale, rounds, directory, say }: BenchContext,
  peers: readonly RegistryKind[],
): Promise<Measured[]> {
  const shape = { layers: 1, layerBytes: LAYER_BYTES * scale, seed: 37 };
  say('writes a layer');
  const folder = join(directory, 'layers');
  await mkdir(folder);
  const image = await writeRandomImage(folder, shape);
  const peak = async (kind: RegistryKind): Promise<number> => {
    await using server = await kind.start(directory);
    await withClient(server, 'bench/one', (client) => push(client, image, '1'));
    return server.pids.reduce((sum, pid) => sum + memoryOf(pid).peak, 0) / 1e6;
  };
  const kinds = [SERVE, ...peers];
  // Memory does not depend on how busy the machine is.
  const fewer = { warmUp: 0, counted: Math.min(ROUNDS, rounds.counted) };
  const found = await interleave(fewer, Object.fromEntries(kinds.map((kind) => [kind.name, () => peak(kind)])));
  await rm(folder, { recursive: true });
  const line = {
    name: `peak memory of a push of ${formatBytes(bytesOfFiles(shape))}`,
    unit: 'MB',
    ours: found[SERVE.name] ?? [],
    target: TARGETS.servePeak,
  };
  if (peers.length === 0) return [line];
  return peers.map(({ name }) => ({ ...line, peer: { name, values: found[name] ?? [] } }));
}

const ROUNDS = 3;
