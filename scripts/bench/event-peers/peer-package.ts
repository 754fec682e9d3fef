import { createRequire } from 'node:module';

/** Seen from the compiled file. */
const PEERS = new URL('../../../../scripts/bench/peers/package.json', import.meta.url);

/**
 * Returns what the package `name` of `peers/` exports, in the form that its caller uses of it.
 * @throws {Error} when it is not installed, or its native part is not built
 */
export function peerPackage<Exports>(name: string): Exports {
  return createRequire(PEERS)(name) as Exports;
}
