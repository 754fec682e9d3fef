/** A logarithmic axis. */
export interface LogScale {
  /** First and last value of the axis. */
  readonly domain: readonly [number, number];
  /** Returns the pixel of `value`, which must be positive. */
  at(value: number): number;
}

/** Maps `domain` to the pixels of `range`. */
export function logScale(domain: readonly [number, number], range: readonly [number, number]): LogScale {
  const [low, high] = [Math.log(domain[0]), Math.log(domain[1])];
  return {
    domain,
    at: (value) => range[0] + ((Math.log(value) - low) / (high - low)) * (range[1] - range[0]),
  };
}

/** Returns the powers of ten around `values` (all positive): at least one decade. */
export function decadesAround(values: readonly number[]): [number, number] {
  const low = Math.floor(Math.log10(values.reduce((least, value) => Math.min(least, value))));
  const high = Math.max(Math.ceil(Math.log10(values.reduce((most, value) => Math.max(most, value)))), low + 1);
  return [10 ** low, 10 ** high];
}

/** Returns the powers of ten in `domain`, inclusive. */
export function decadesOf([low, high]: readonly [number, number]): number[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}
