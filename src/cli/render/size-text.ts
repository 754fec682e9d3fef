const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Returns a size in bytes as Docker shows it: decimal units, three significant digits, `1.23 MB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.5 would be written 1000: it belongs to the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? String(value) : String(Number(value.toPrecision(3)));
  return `${digits} ${UNITS[unit]}`;
}
