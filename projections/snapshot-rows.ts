import type { SnapshotReader } from './snapshot-reader.js';
import type { SnapshotWriter } from './snapshot-writer.js';

/** Writes how many rows there are, and each by `write`; yields when the writer is full. */
export function* writeRows<Row>(
  out: SnapshotWriter,
  rows: readonly Row[],
  write: (row: Row, index: number) => void,
): Generator<void> {
  out.uint(rows.length);
  for (const [index, row] of rows.entries()) {
    write(row, index);
    if (out.isFull) yield;
  }
}

/** Calls `read` for each row that `writeRows` wrote. */
export function readRows(input: SnapshotReader, read: () => void): void {
  for (let left = input.count(); left > 0; left--) read();
}

/** Writes a few values at once, each by `write`. */
export function writeList<Value>(out: SnapshotWriter, values: readonly Value[], write: (value: Value) => void): void {
  out.uint(values.length);
  for (const value of values) write(value);
}

/** Returns the values that `writeList` wrote. */
export function readList<Value>(input: SnapshotReader, read: () => Value): Value[] {
  const values: Value[] = [];
  readRows(input, () => void values.push(read()));
  return values;
}
