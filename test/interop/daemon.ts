import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archivePath } from '../store/fixture-archives.js';
import { isInstalled } from '../support/requires.js';
import { runProgram, whyItFails } from './run-program.js';

const START_MS = 30_000;
/** A daemon outlives neither its tests nor this. */
const LIFE_SECONDS = 300;
const STOP_SECONDS = 10;

/** A daemon of its own folder and socket, or why there is none. */
export type Started =
  | { readonly reason: string }
  | { readonly reason: undefined; readonly socket: string; stop(): Promise<void> };

interface Program {
  readonly program: string;
  /** Programs that the tests need beside it. */
  readonly others: readonly string[];
  /** Arguments of the daemon; may write files below its folder. */
  args(folder: string, socket: string): readonly string[];
  /** The client, and how it reaches the daemon. */
  client(socket: string): readonly [program: string, ...args: string[]];
  /** Arguments of the client that load an archive, which a daemon without privileges cannot. */
  load(path: string): readonly string[];
}

/** Docker's daemon, without a network. */
export function startDocker(): Promise<Started> {
  return start({
    program: 'dockerd',
    others: ['docker', 'containerd'],
    args: (folder, socket) => {
      // Not the machine's own.
      const config = join(folder, 'config.json');
      writeFileSync(config, '{}');
      return [
        ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs'],
        ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
        ...['--pidfile', join(folder, 'pid'), '--config-file', config, '-H', `unix://${socket}`],
      ];
    },
    client: (socket) => ['docker', '-H', `unix://${socket}`],
    load: (path) => ['load', '--input', path],
  });
}

/** The daemon of containerd. */
export function startContainerd(): Promise<Started> {
  return start({
    program: 'containerd',
    others: ['ctr'],
    args: (folder, socket) => {
      const config = join(folder, 'config.toml');
      const paths = { root: join(folder, 'root'), state: join(folder, 'state') };
      const lines = [
        'version = 2',
        ...Object.entries(paths).map(([key, path]) => `${key} = ${JSON.stringify(path)}`),
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        `[grpc]\naddress = ${JSON.stringify(socket)}`,
        `[ttrpc]\naddress = ${JSON.stringify(`${socket}.ttrpc`)}`,
      ];
      writeFileSync(config, lines.join('\n'));
      return ['--config', config];
    },
    client: (socket) => ['ctr', '--address', socket],
    load: (path) => ['images', 'import', path],
  });
}

async function start({ program, others, args, client, load }: Program): Promise<Started> {
  const missing = [program, ...others, 'timeout'].filter((each) => !isInstalled(each));
  if (missing.length > 0) return { reason: `${missing.join(' and ')} not installed` };
  if (process.getuid?.() !== 0) return { reason: `${program} needs root` };
  // Short: a socket's path has at most 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'imagelog-'));
  const [socket, log] = [join(folder, 's'), join(folder, 'log')];
  const output = openSync(log, 'a');
  const limits = ['--kill-after', `${STOP_SECONDS}`, `${LIFE_SECONDS}`];
  const child = spawn('timeout', [...limits, program, ...args(folder, socket)], {
    stdio: ['ignore', output, output],
  });
  const kill = (): boolean => child.kill();
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    if (isRunning(child)) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      kill();
      await ended;
    }
    process.off('exit', kill);
    rmSync(folder, { recursive: true, force: true });
  };
  const [name, ...reach] = client(socket);
  const run = (...more: readonly string[]): Promise<string> => runProgram(name, ...reach, ...more);
  let reason: string | undefined;
  if (await answers(child, run)) {
    const failure = await whyItFails(() => run(...load(archivePath('skopeo-tiny-1.tar'))));
    reason = failure && `${program} cannot load: ${failure}`;
  } else {
    reason = `${program} did not start: ${readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? ''}`;
  }
  if (reason === undefined) return { reason, socket, stop };
  await stop();
  return { reason };
}

async function answers(child: ChildProcess, run: (command: string) => Promise<string>): Promise<boolean> {
  const until = Date.now() + START_MS;
  while (isRunning(child) && Date.now() < until) {
    if ((await whyItFails(() => run('version'))) === undefined) return true;
    await sleep(100);
  }
  return false;
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
