const SUFFIXES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;
const LONG = 10_000;

/** Formats `value` with three significant digits: 0.951, 7.22, 384, 5,812, 61.3k, 1.52M. */
export function formatNumber(value: number): string {
  const [unit, suffix] = SUFFIXES.find(([size]) => Math.abs(value) >= LONG && Math.abs(value) >= size) ?? [1, ''];
  const shown = value / unit;
  const digits = { maximumSignificantDigits: Math.abs(shown) < 1_000 ? 3 : 4 };
  return `${shown.toLocaleString('en-US', digits)}${suffix}`;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Formats bytes (at least a MiB) in the largest fitting unit: 64 MiB, 1 GiB. */
export function formatBytes(bytes: number): string {
  return bytes < GIB ? `${formatNumber(bytes / MIB)} MiB` : `${formatNumber(bytes / GIB)} GiB`;
}

/** Formats a store size in full: 1,000,000. */
export function formatSize(size: number): string {
  return size.toLocaleString('en-US');
}
