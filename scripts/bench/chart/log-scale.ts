/** Places values on an axis by their logarithm. */
export interface LogScale {
  /** The first and the last value of the axis. */
  readonly domain: readonly [number, number];
  /** The pixel where `value`, above 0, stands. */
  at(value: number): number;
}

/** Returns a scale that has `domain` from pixel `range[0]` to `range[1]`. */
export function logScale(domain: readonly [number, number], range: readonly [number, number]): LogScale {
  const [low, high] = [Math.log(domain[0]), Math.log(domain[1])];
  return {
    domain,
    at: (value) => range[0] + ((Math.log(value) - low) / (high - low)) * (range[1] - range[0]),
  };
}

/** Returns the powers of ten that `values`, all above 0, lie between: at least one decade. */
export function decadesAround(values: readonly number[]): [number, number] {
  const low = Math.floor(Math.log10(values.reduce((least, value) => Math.min(least, value))));
  const high = Math.max(Math.ceil(Math.log10(values.reduce((most, value) => Math.max(most, value)))), low + 1);
  return [10 ** low, 10 ** high];
}

/** Returns the powers of ten of `domain`, both ends included when they are such. */
export function decadesOf([low, high]: readonly [number, number]): number[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}
