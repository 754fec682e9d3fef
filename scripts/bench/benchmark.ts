/** What a benchmark is to reach, judged by its median. */
export interface Target {
  /** Whether the ratio to the peer is judged, or our own number. */
  readonly of: 'ratio' | 'ours';
  readonly bound: 'at least' | 'at most';
  readonly value: number;
}

/** What one line of the report is made of: one number for each round, the peer's of the same round at the same place. */
export interface Measured {
  readonly name: string;
  /** Unit of the numbers, ours and the peer's. */
  readonly unit: string;
  readonly ours: readonly number[];
  /** What ours is held against; its ratio is ours divided by the peer's, round by round. */
  readonly peer?: { readonly name: string; readonly values: readonly number[] } | undefined;
  /** Absent for a line that is there for information. */
  readonly target?: Target | undefined;
  /** Events in the log, for a line of which there is one for each size: the report shows how it grows. */
  readonly size?: number | undefined;
}

/** What a benchmark is given. */
export interface BenchContext {
  /** An empty directory of its own, removed when it has ended. */
  readonly directory: string;
  /** 1, or less for a quick look: sizes are multiplied by it. */
  readonly scale: number;
  /** Sizes of the logs that are asked, in events, ascending: targets are for the last. */
  readonly logSizes: readonly number[];
  /** Whether logs that were kept from an earlier run are made again. */
  readonly fresh: boolean;
  /** Tells what is being prepared. */
  readonly say: (text: string) => void;
}

/** One benchmark: a name to call it by and what it measures. */
export interface Benchmark {
  readonly name: string;
  /** One line for the list of benchmarks. */
  readonly about: string;
  run(context: BenchContext): Promise<readonly Measured[]>;
}
