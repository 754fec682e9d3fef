import { defineProjection, type OwnProjection } from '../../src/store/own-projections.js';
import { bytesOf, textOf } from './text-bytes.js';

/** Returns a projection whose view is every seq that it was given, in order. */
export function seqsProjection(name: string, version = 1): OwnProjection<number[]> {
  return defineProjection({
    name,
    version,
    initial: (): number[] => [],
    evolve: (seqs, { seq }) => [...seqs, seq],
  });
}

/** A projection whose state can be kept, with how many events it was given. */
export interface CountedProjection {
  readonly projection: OwnProjection<number>;
  readonly evolved: () => number;
}

/** Returns a projection that counts events, and whose state is the count as text. */
export function countingProjection(name: string, version = 1): CountedProjection {
  let evolved = 0;
  const projection = defineProjection({
    name,
    version,
    initial: () => 0,
    evolve: (count) => {
      evolved++;
      return count + 1;
    },
    encode: (count) => bytesOf(String(count)),
    decode: (bytes) => Number.parseInt(textOf(bytes), 10),
  });
  return { projection, evolved: () => evolved };
}

/** The seqs from 1 to `last`. */
export function oneTo(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}
