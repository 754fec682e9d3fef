import type { Rounds } from './rounds.js';

/** What a benchmark is to reach, judged by its median. */
export interface Target {
  /** Whether the ratio to the peer is judged, or our own number. */
  readonly of: 'ratio' | 'ours';
  readonly bound: 'at least' | 'at most';
  readonly value: number;
}

/** What is done to compare with us. */
export interface Peer {
  readonly name: string;
  /** One number for each round, of the same unit as ours, at the same place. */
  readonly values: readonly number[];
  /** How it was set up, and what is durable when it says so: printed below the table. */
  readonly settings?: string | undefined;
}

/** What one line of the report is made of: one number for each round, the peer's of the same round at the same place. */
export interface Measured {
  readonly name: string;
  /** Unit of the numbers, ours and the peer's. */
  readonly unit: string;
  readonly ours: readonly number[];
  /** What ours is held against; its ratio is ours divided by the peer's, round by round. */
  readonly peer?: Peer | undefined;
  /** Absent for a line that is there for information. One of `TARGETS` is in the summary, too. */
  readonly target?: Target | undefined;
  /** A target that this line stands beside for information: the summary shows its ratio below the verdict. */
  readonly beside?: Target | undefined;
  /** How much is in the store, for a line of which there is one for each size: the report shows how it grows. */
  readonly size?: number | undefined;
  /** What `size` counts; events unless it is said. */
  readonly sizeOf?: 'events' | 'images' | undefined;
}

/** What a benchmark is given. */
export interface BenchContext {
  /** An empty directory of its own, removed when it has ended. */
  readonly directory: string;
  /** How often each side does its work: hand it to `interleave`. */
  readonly rounds: Rounds;
  /** 1, or less for a quick look: sizes are multiplied by it. */
  readonly scale: number;
  /** Sizes of the logs that are asked, in events, ascending: targets are for the last. */
  readonly logSizes: readonly number[];
  /** Sizes of the stores whose growth is measured, in images, ascending. */
  readonly imageCounts: readonly number[];
  /** Whether logs that were kept from an earlier run are made again. */
  readonly fresh: boolean;
  /** Tells what is being prepared. */
  readonly say: (text: string) => void;
  /** Tells the report that a peer is not measured, and why. */
  readonly leaveOut: (peer: string, reason: string) => void;
}

/** One benchmark: a name to call it by and what it measures. */
export interface Benchmark {
  readonly name: string;
  /** One line for the list of benchmarks. */
  readonly about: string;
  run(context: BenchContext): Promise<readonly Measured[]>;
}
