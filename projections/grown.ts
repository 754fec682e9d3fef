type Column = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Returns a copy of `column` with room for `length` values; those it did not have are 0. */
export function grown<Grown extends Column>(column: Grown, length: number): Grown {
  const larger = new (column.constructor as new (length: number) => Grown)(length);
  larger.set(column);
  return larger;
}

/** Returns how many rows there should be room for when `rows` are needed: half as many again, so that a row is copied three times at most on average. */
export function roomFor(rows: number): number {
  return rows + (rows >>> 1) + 16;
}
