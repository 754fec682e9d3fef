import { encodeChanges, openChanges } from '../../../projections/views-codec.js';
import type { EncodedChanges } from '../../../projections/views.js';
import { SnapshotDamage } from '../../../projections/snapshot-format.js';
import { CHANGES_STEP_EVENTS } from '../../limits.js';
import type { LogEntry } from '../../log/log.js';
import { ByteReader, putVarint } from '../../model/bytes.js';

/*
 * The payload of a file of changes: the changes of one step after another, each some thousand
 * events; then for each the count of its events and of its bytes; then the count of those bytes and
 * of the steps. A read of the past takes the steps up to its event.
 */

/** Events after `from`, up to and with `to`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** The changes by the events of a stretch. */
export interface ChangesStep extends Stretch {
  readonly changes: EncodedChanges;
  readonly bytes: number;
}

/** Collects the events of a stretch, in order, into the payload of a file. */
export class ChangesBuilder {
  readonly #eventsOf: (step: number) => number;
  readonly #pieces: Uint8Array[] = [];
  readonly #sizes: number[] = [];
  #entries: LogEntry[] = [];

  /** `eventsOf` tells how many events a step has, the first being step 0; the last may have fewer. */
  constructor(eventsOf: (step: number) => number = () => CHANGES_STEP_EVENTS) {
    this.#eventsOf = eventsOf;
  }

  add(entry: LogEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length >= this.#eventsOf(this.#sizes.length / 2)) this.#endStep();
  }

  /** Returns the payload; the builder is done. */
  finish(): Uint8Array[] {
    if (this.#entries.length > 0) this.#endStep();
    const list: number[] = [];
    for (const size of this.#sizes) putVarint(list, size, list.length);
    const footer = new DataView(new ArrayBuffer(FOOTER_BYTES));
    footer.setUint32(0, list.length);
    footer.setUint32(FOOTER_BYTES / 2, this.#sizes.length / 2);
    return [...this.#pieces, Uint8Array.from(list), new Uint8Array(footer.buffer)];
  }

  #endStep(): void {
    const pieces = encodeChanges(this.#entries);
    this.#sizes.push(
      this.#entries.length,
      pieces.reduce((sum, { length }) => sum + length, 0),
    );
    for (const piece of pieces) this.#pieces.push(piece);
    this.#entries = [];
  }
}

const FOOTER_BYTES = 8;

/**
 * Opens the steps of a payload over the events of a stretch. Keeps `payload`.
 * @throws {SnapshotDamage} when it is malformed or of another count of events
 */
export function openSteps(payload: Uint8Array, { from, to }: Stretch): ChangesStep[] {
  const steps: ChangesStep[] = [];
  const sizes = stepSizes(payload);
  let [seq, at] = [from, 0];
  for (const { events, bytes } of sizes.steps) {
    const end = at + bytes;
    if (end > sizes.start) throw new SnapshotDamage('one of its steps is longer than it is');
    steps.push({ from: seq, to: seq + events, changes: openChanges(payload.subarray(at, end)), bytes });
    seq += events;
    at = end;
  }
  if (at !== sizes.start) throw new SnapshotDamage(`${sizes.start - at} bytes are left over`);
  if (seq !== to) throw new SnapshotDamage(`it is of ${seq - from} events`);
  return steps;
}

interface StepSizes {
  readonly start: number;
  readonly steps: readonly { readonly events: number; readonly bytes: number }[];
}

function stepSizes(payload: Uint8Array): StepSizes {
  const end = payload.length - FOOTER_BYTES;
  if (end < 0) throw new SnapshotDamage('it ends before it begins');
  const footer = new DataView(payload.buffer, payload.byteOffset + end, FOOTER_BYTES);
  const start = end - footer.getUint32(0);
  if (start < 0) throw new SnapshotDamage('it ends before its steps');
  const reader = new ByteReader(payload.subarray(start, end));
  const steps: { readonly events: number; readonly bytes: number }[] = [];
  for (let left = footer.getUint32(FOOTER_BYTES / 2); left > 0; left--) {
    const [events, bytes] = [reader.number(), reader.number()];
    if (events === undefined || bytes === undefined) throw new SnapshotDamage('it ends in the middle of its steps');
    steps.push({ events, bytes });
  }
  if (!reader.isAtEnd) throw new SnapshotDamage('its list of steps is longer than its steps');
  return { start, steps };
}

/** Returns what no stretch covers of the events 1 to `seq`, ascending; `stretches` by their start. */
export function gaps(stretches: readonly Stretch[], seq: number): Stretch[] {
  const found: Stretch[] = [];
  let at = 0;
  for (const { from, to } of stretches) {
    if (from > at) found.push({ from: at, to: Math.min(from, seq) });
    at = Math.max(at, to);
  }
  if (at < seq) found.push({ from: at, to: seq });
  return found.filter(({ from, to }) => from < to);
}
