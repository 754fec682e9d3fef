import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Functions by name that stand in for those of `node:fs` and of `node:fs/promises`. */
interface ReplacedCalls {
  readonly sync?: object;
  readonly promises?: object;
}

/** Runs `run` while calls are replaced in this whole thread: tests of a suite run one by one. */
export async function withCalls<Result>(
  { sync = {}, promises = {} }: ReplacedCalls,
  run: () => Promise<Result>,
): Promise<Result> {
  const before = { sync: namedLike(sync, fs), promises: namedLike(promises, fs.promises) };
  replace(sync, promises);
  try {
    return await run();
  } finally {
    replace(before.sync, before.promises);
  }
}

function namedLike(names: object, from: object): object {
  return Object.fromEntries(Object.keys(names).map((name) => [name, Reflect.get(from, name)]));
}

function replace(sync: object, promises: object): void {
  Object.assign(fs, sync);
  Object.assign(fs.promises, promises);
  // What other modules imported by name is replaced too.
  syncBuiltinESMExports();
}

/** Returns `call` made to fail with the system's `code` for the paths that `isFailing` selects. */
export function failing<Rest extends unknown[], Result>(
  call: (path: fs.PathLike, ...rest: Rest) => Result,
  code: string,
  isFailing: (path: string) => boolean,
): (path: fs.PathLike, ...rest: Rest) => Result {
  return (path, ...rest) => {
    if (isFailing(String(path))) throw Object.assign(new Error(`${code}: failed by the test, '${path}'`), { code });
    return call(path, ...rest);
  };
}

/** Replaces the calls that tell how many bytes are free on any disk. */
export function freeBytes(bytes: number): ReplacedCalls {
  return { sync: { statfsSync: () => ({ bavail: bytes, bsize: 1 }) } };
}

/** Lets at most so many files below `folder` be open at once: further opens fail with `code`. */
export function fewDescriptors(most: number, code: string, folder: string): ReplacedCalls {
  const { openSync, closeSync } = fs;
  const open = new Set<number>();
  return {
    sync: {
      openSync: (...[path, ...rest]: Parameters<typeof openSync>): number => {
        const isBelow = String(path).startsWith(`${folder}/`);
        const descriptor = failing(openSync, code, () => isBelow && open.size >= most)(path, ...rest);
        if (isBelow) open.add(descriptor);
        return descriptor;
      },
      closeSync: (descriptor: number): void => {
        open.delete(descriptor);
        closeSync(descriptor);
      },
    },
  };
}
