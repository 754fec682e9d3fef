import { join } from 'node:path';
import type { Manifest } from '../../log/leveldb/manifest.js';
import { type DamagedStretch, parseRecordFile } from '../../log/leveldb/record-file.js';
import { parseWriteBatch, type WriteBatch } from '../../log/leveldb/write-batch.js';
import { readRegularFile } from '../files/regular-file.js';
import { fileGone } from './file-gone.js';
import type { DatabaseReport } from './inspect-database.js';

/** A batch, and what is known about the place before it. */
interface PlacedBatch extends WriteBatch {
  readonly file: string;
  /** Damage in its file that ends where it begins. */
  readonly after: DamagedStretch | undefined;
}

interface LogContents {
  readonly batches: readonly PlacedBatch[];
  readonly faults: DatabaseReport['faults'];
  readonly isTorn: boolean;
}

/**
 * Looks at the write-ahead logs that LevelDB would replay. Each batch was synced before the next was begun, and continues the count of
 * the one before: so a stretch that is damaged before a whole batch, and a count that jumps, are damage and never what a crash left.
 */
export async function inspectWriteAheadLogs(
  location: string,
  names: readonly string[],
  manifest: Manifest,
): Promise<DatabaseReport> {
  const { logNumber, previousLogNumber, lastSequence } = manifest;
  const numbers = names.flatMap((name) => /^(\d+)\.log$/.exec(name)?.[1] ?? []).map(Number);
  const replayed = numbers
    .filter((number) => number >= logNumber || number === previousLogNumber)
    .sort((a, b) => a - b);
  // LevelDB makes the log durable before the MANIFEST names it, and removes it only after the MANIFEST names another.
  if (logNumber !== 0 && !replayed.includes(logNumber)) {
    const file = logName(logNumber);
    const message = `the write-ahead log ${file} is missing, or the MANIFEST lost its end: the last events are lost`;
    return { faults: [{ file, message }], isTorn: false, lastEvent: 0 };
  }
  const contents: LogContents[] = [];
  for (const number of replayed) contents.push(await readLog(location, logName(number)));
  const batches = contents.flatMap((each) => each.batches);
  const faults = [...contents.flatMap((each) => each.faults), ...gaps(batches, lastSequence)];
  const end = batches.at(-1);
  const isShort = end !== undefined && end.sequence + end.count - 1 < lastSequence;
  if (isShort)
    faults.push({ file: end.file, message: `the write-ahead log ${end.file} lost its end: ${lostAfter(end)}` });
  // A log that is not the last was finished before the next one was begun.
  const torn = contents.findIndex((each) => each.isTorn);
  if (torn >= 0 && torn < contents.length - 1 && faults.length === 0) {
    const file = logName(replayed[torn] as number);
    faults.push({ file, message: `the write-ahead log ${file} is damaged at its end` });
  }
  const lastEvent = batches.reduce((last, { events }) => Math.max(last, events?.last ?? 0), 0);
  return { faults, isTorn: torn >= 0, lastEvent };
}

async function readLog(location: string, file: string): Promise<LogContents> {
  const bytes = await readRegularFile(join(location, file));
  if (bytes === undefined) throw fileGone(location, file);
  const { records, damaged, tornAt } = parseRecordFile(bytes);
  const batches: PlacedBatch[] = [];
  for (const { offset, bytes: record } of records) {
    const batch = parseWriteBatch(record);
    const after = damaged.find(({ end }) => end === offset);
    if (batch === undefined) {
      const message = `${file} is damaged at byte ${offset}: what stands there is no batch`;
      return { batches, faults: [{ file, message }], isTorn: false };
    }
    batches.push({ ...batch, file, after });
  }
  return { batches, faults: [], isTorn: tornAt !== undefined };
}

/** Says for each place where the count jumps, or bytes are damaged, which events are lost there. */
function gaps(batches: readonly PlacedBatch[], lastSequence: number): { file: string; message: string }[] {
  const faults: { file: string; message: string }[] = [];
  let next: number | undefined;
  let lastEvent: number | undefined;
  for (const batch of batches) {
    const { sequence, count, file, after, events } = batch;
    // The first may have come before the MANIFEST's last edit.
    const isNext = next === undefined ? sequence <= lastSequence + 1 : sequence === next;
    if (!isNext || after !== undefined) {
      const place = after === undefined ? 'lacks a batch' : `is damaged from byte ${after.offset} to ${after.end}`;
      faults.push({ file, message: `the write-ahead log ${file} ${place}: ${lostBetween(lastEvent, events?.first)}` });
    }
    next = sequence + count;
    lastEvent = events?.last ?? lastEvent;
  }
  return faults;
}

function lostBetween(before: number | undefined, next: number | undefined): string {
  if (next === undefined)
    return before === undefined ? 'what was written there is lost' : `what came after event ${before} is lost`;
  if (before === undefined) return `events before ${next} are lost`;
  if (next === before + 1) return 'no event is lost there, though rows are';
  return next === before + 2 ? `event ${before + 1} is lost` : `events ${before + 1} to ${next - 1} are lost`;
}

function lostAfter({ events }: WriteBatch): string {
  return events === undefined ? 'the last events are lost' : `the events after ${events.last} are lost`;
}

function logName(number: number): string {
  return `${String(number).padStart(6, '0')}.log`;
}
