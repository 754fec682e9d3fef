import { createRequire } from 'node:module';

/** Relative to the compiled file. */
const PEERS = new URL('../../../../scripts/bench/peers/package.json', import.meta.url);

/**
 * Returns the exports of package `name` in `peers/`, typed by the caller.
 * @throws {Error} if not installed, or its native part, unless that is loaded later, is not built
 */
export function peerPackage<Exports>(name: string): Exports {
  return createRequire(PEERS)(name) as Exports;
}
