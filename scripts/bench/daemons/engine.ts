import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BenchContext } from '../benchmark.js';
import { hasProgram } from '../child-process.js';

/** A program that keeps images, with its own empty store. Disposal ends its daemon. */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  /** Where its store is. */
  readonly folder: string;
  /** Its daemon's processes; empty without one. */
  readonly pids: readonly number[];
  /** Where its load leaves files without a sync; undefined if nowhere. */
  readonly unsynced?: string | undefined;
  load(archive: string): Promise<unknown>;
  save(reference: string, path: string): Promise<unknown>;
  /** Throws unless it has `count` images in the form that is compared: what did no work is no peer. */
  check(count: number): Promise<void>;
}

/** An engine that lists and names its images. */
export interface NamingEngine extends Engine {
  /** A line each after one of headings. */
  images(): Promise<string>;
  tag(reference: string, name: string): Promise<unknown>;
}

/** A kind of engine. */
export interface EngineKind<Opened extends Engine = Engine> {
  readonly name: string;
  /** What must be installed. */
  readonly programs: readonly string[];
  /** Setup and durability. */
  readonly settings: string;
  /** Starts one below the empty `folder`. */
  open(folder: string): Promise<Opened>;
}

const run = promisify(execFile);

/** Returns what a program prints. @throws {Error} with what it printed if it fails */
export async function outputOf(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stdout } = await run(program, args, { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Returns the kinds that this machine can run; leaves out each other one with the reason. */
export async function usableKinds<Kind extends EngineKind>(
  kinds: readonly Kind[],
  { leaveOut }: Pick<BenchContext, 'leaveOut'>,
): Promise<Kind[]> {
  const usable: Kind[] = [];
  for (const kind of kinds) {
    const reason = await whyNot(kind);
    if (reason === undefined) usable.push(kind);
    else leaveOut(kind.name, reason);
  }
  return usable;
}

async function whyNot(kind: EngineKind): Promise<string | undefined> {
  const missing: string[] = [];
  for (const program of kind.programs) if (!(await hasProgram(program))) missing.push(program);
  if (missing.length > 0) return `${missing.join(' and ')} not installed`;
  if (process.platform !== 'linux') return 'its processor time is read from /proc, which only Linux has';
  try {
    await withEngine(kind, async () => undefined);
    return undefined;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1);
  }
}

/** Runs `work` on a new engine with an empty store, and removes both. */
export function withEngine<Opened extends Engine, Result>(
  kind: EngineKind<Opened>,
  work: (engine: Opened) => Promise<Result>,
): Promise<Result> {
  return inFreshFolder(async (folder) => {
    await using engine = await kind.open(folder);
    return await work(engine);
  });
}

/** Short: the path of a socket has at most 107 bytes, a folder of podman at most 50. */
const FOLDER = 'imagelog-';

async function inFreshFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), FOLDER));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs `work` on engines side by side, each with the `count` images of `archive`. */
export async function withLoaded<Opened extends Engine, Result>(
  kinds: readonly EngineKind<Opened>[],
  { archive, count }: { readonly archive: string; readonly count: number },
  work: (engines: readonly Opened[]) => Promise<Result>,
): Promise<Result> {
  const [kind, ...others] = kinds;
  if (kind === undefined) return work([]);
  return withEngine(kind, async (engine) => {
    await engine.load(archive);
    await engine.check(count);
    return withLoaded(others, { archive, count }, (more) => work([engine, ...more]));
  });
}

/** Adds the check to an engine: the lines of its list. */
export function checkedByList(engine: Omit<NamingEngine, 'check'>): NamingEngine {
  const check = async (count: number): Promise<void> => {
    const lines = (await engine.images()).trim().split('\n').length;
    if (lines !== count + 1) throw new Error(`${engine.name} has ${lines - 1} images, expected ${count}`);
  };
  return { ...engine, check };
}
