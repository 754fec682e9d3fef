import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { BenchContext } from '../benchmark.js';
import { hasProgram } from '../child-process.js';
import { startDaemon } from '../daemons/own-daemon.js';
import { PROGRAM } from '../program.js';

/** A registry in its own process, with an empty store. Disposal ends it and removes the store. */
export interface RunningRegistry extends AsyncDisposable {
  readonly port: number;
  /** Its processes. */
  readonly pids: readonly number[];
}

/** A kind of registry. */
export interface RegistryKind {
  readonly name: string;
  /** Setup and durability. */
  readonly settings: string;
  /** Starts one with its store below `directory`. */
  start(directory: string): Promise<RunningRegistry>;
}

/** More than the usual 1,000: followers are all of one address. */
const CONNECTIONS = 20_000;

export const SERVE: RegistryKind = {
  name: 'imagelog serve',
  settings: 'the bundled program; blobs, their names, and the log are synced',
  start: (directory) =>
    startBelow(directory, async (folder, port) => ({
      program: process.execPath,
      args: [
        ...profilerArgs(),
        ...[PROGRAM, '--store', join(folder, 'store'), 'serve', '--listen', `127.0.0.1:${port}`],
        ...['--no-socket', '--max-per-address', String(CONNECTIONS)],
      ],
    })),
};

/** `--cpu-prof` and its folder, to profile the server: $IMAGELOG_BENCH_PROFILES. */
function profilerArgs(): string[] {
  const folder = process.env['IMAGELOG_BENCH_PROFILES'];
  return folder === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', folder];
}

/** Debian's, with its file driver. */
const DOCKER_REGISTRY: RegistryKind = {
  name: 'docker-registry',
  settings: 'file driver, descriptors cached in memory, its log has refusals alone; it syncs files, not their folders',
  start: (directory) =>
    startBelow(directory, async (folder, port) => {
      const config = join(folder, 'config.json');
      await writeFile(config, JSON.stringify(configOf(join(folder, 'store'), port)));
      return { program: 'docker-registry', args: ['serve', config] };
    }),
};

/** JSON is YAML too. */
function configOf(rootdirectory: string, port: number): object {
  return {
    version: '0.1',
    log: { accesslog: { disabled: true }, level: 'error' },
    storage: { cache: { blobdescriptor: 'inmemory' }, filesystem: { rootdirectory }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: 'bench' },
  };
}

async function startBelow(
  directory: string,
  commandOf: (folder: string, port: number) => Promise<{ readonly program: string; readonly args: readonly string[] }>,
): Promise<RunningRegistry> {
  const folder = await mkdtemp(join(directory, 'registry-'));
  const port = await freePort();
  const ask = async (): Promise<void> => {
    const { ok, status } = await fetch(`http://127.0.0.1:${port}/v2/`);
    if (!ok) throw new Error(`the registry answers ${status}`);
  };
  const command = await commandOf(folder, port);
  const daemon = await startDaemon({ ...command, folder, ask });
  return {
    port,
    pids: daemon.pids,
    [Symbol.asyncDispose]: async () => {
      await daemon[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A port that was free a moment ago: docker-registry does not say which one the system chose. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Returns the peers that this machine can run; leaves out each other one with the reason. */
export async function registryPeers({ leaveOut }: Pick<BenchContext, 'leaveOut'>): Promise<RegistryKind[]> {
  if (await hasProgram(DOCKER_REGISTRY.name)) return [DOCKER_REGISTRY];
  leaveOut(DOCKER_REGISTRY.name, 'docker-registry not installed');
  return [];
}
