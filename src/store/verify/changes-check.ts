import { createHash } from 'node:crypto';
import type { LogEntry } from '../../log/log.js';
import { ChangesBuilder, openSteps, type Stretch } from '../snapshots/changes-file.js';
import type { Report } from './verify-source.js';

/** What a file of changes says that the events of a stretch do. */
export interface ChangesClaim extends Stretch {
  readonly place: string;
  /** Events of each step. */
  readonly steps: readonly number[];
  /** Digest of the payload. */
  readonly digest: string;
}

/** Returns what a payload claims. @throws {SnapshotDamage} when it is malformed */
export function changesClaim(payload: Uint8Array, stretch: Stretch, place: string): ChangesClaim {
  const steps = openSteps(payload, stretch).map(({ from, to }) => to - from);
  return { ...stretch, place, steps, digest: digestOf([payload]) };
}

/** Makes the changes again from the events, and compares them with those in files. */
export class ChangesCheck {
  readonly #report: Report;
  /** Files whose events have not begun, the first last. */
  readonly #waiting: ChangesClaim[];
  readonly #begun = new Map<ChangesClaim, ChangesBuilder>();
  #isOver = false;

  constructor(claims: readonly ChangesClaim[], report: Report) {
    this.#waiting = [...claims].sort((a, b) => b.from - a.from);
    this.#report = report;
  }

  /** Adds the next event. */
  add(entry: LogEntry): void {
    if (this.#isOver) return;
    const { seq } = entry.event;
    for (let next = this.#waiting.at(-1); next !== undefined && next.from < seq; next = this.#waiting.at(-1)) {
      this.#waiting.pop();
      const { steps } = next;
      this.#begun.set(next, new ChangesBuilder((step) => steps[step] ?? Number.POSITIVE_INFINITY));
    }
    for (const [claim, builder] of this.#begun) {
      builder.add(entry);
      if (claim.to === seq) this.#compare(claim, builder);
    }
  }

  /** Ends the check: an event is missing. Returns the places of the files that were not compared. */
  end(): string[] {
    this.#isOver = true;
    return [...this.#begun.keys(), ...this.#waiting].map(({ place }) => place).sort();
  }

  #compare(claim: ChangesClaim, builder: ChangesBuilder): void {
    this.#begun.delete(claim);
    if (digestOf(builder.finish()) === claim.digest) return;
    const { place, from, to } = claim;
    const message = `${place}: its changes are not those that the events after ${from} to ${to} make`;
    this.#report({ code: 'SNAPSHOT_WRONG', place, message, seq: to });
  }
}

function digestOf(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
