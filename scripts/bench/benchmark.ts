import type { Figure, Rounds } from './rounds.js';

/** What times are taken by: the clock on the wall, or processors (user and system). */
export type Clock = 'wall' | 'cpu';

/** A goal for a benchmark, judged by its median. */
export interface Target {
  /** Whether it judges the ratio to the peer or our own number. */
  readonly of: 'ratio' | 'ours';
  readonly bound: 'at least' | 'at most';
  readonly value: number;
  /** The clock that counts; both must then be met. Default wall. */
  readonly by?: Clock | 'both' | undefined;
}

/** Something we compare with. */
export interface Peer {
  readonly name: string;
  /** One figure per round, with our unit and round order. */
  readonly values: readonly Figure[];
  /** Setup and durability, printed below the table. */
  readonly settings?: string | undefined;
}

/** One line of the report: a figure per round, paired with the peer's by index. */
export interface Measured {
  readonly name: string;
  /** Unit of our and the peer's numbers. */
  readonly unit: string;
  readonly ours: readonly Figure[];
  /** The comparison; its ratio is ours divided by the peer's, round by round. */
  readonly peer?: Peer | undefined;
  /** Absent for informational lines. One of `TARGETS` also appears in the summary. */
  readonly target?: Target | undefined;
  /** The target this line accompanies: the summary shows its ratio below the verdict. */
  readonly beside?: Target | undefined;
  /** Store size, for lines measured at several sizes; the report shows the growth. */
  readonly size?: number | undefined;
  /** Unit of `size`; default events. */
  readonly sizeOf?: 'events' | 'images' | undefined;
  /** How often its case was run again because a range was too wide; the rounds of all count. */
  readonly repeats?: number | undefined;
}

/** Environment of a benchmark. */
export interface BenchContext {
  /** A private empty directory, removed afterwards. */
  readonly directory: string;
  /** Rounds per side; pass it to `interleave`. */
  readonly rounds: Rounds;
  /** Size multiplier: 1, or less for a quick run. */
  readonly scale: number;
  /** Log sizes in events, ascending; targets apply to the last. */
  readonly logSizes: readonly number[];
  /** Store sizes for growth, in images, ascending. */
  readonly imageCounts: readonly number[];
  /** Whether to rebuild logs kept from an earlier run. */
  readonly fresh: boolean;
  /** Reports what is being prepared. */
  readonly say: (text: string) => void;
  /** Reports a skipped peer and the reason. */
  readonly leaveOut: (peer: string, reason: string) => void;
}

export interface Benchmark {
  readonly name: string;
  /** One line for the list of benchmarks. */
  readonly about: string;
  run(context: BenchContext): Promise<readonly Measured[]>;
}
