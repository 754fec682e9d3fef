import { encodeRecord, decodeRecord } from '../../log/record.js';
import { equalHashes } from '../../log/merkle/node-hash.js';
import type { StoredEvent } from '../../model/events.js';
import type { LeafVerdict } from './tree-check.js';
import type { StoredRecord } from './verify-source.js';
import type { Report, Violation } from './violation.js';

/** Each record by itself, and with those beside it: seqs, times and transactions. */
export class RecordCheck {
  readonly #report: Report;
  /** The event before, when it can be believed. */
  #before: StoredEvent | undefined;
  #time = 0;
  /** The first event of a stretch that is missing. */
  #missingFrom: number | undefined;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Checks what stands at `seq`, one more than the last time. Returns its event when it can be believed. */
  check(seq: number, stored: StoredRecord | undefined, verdict: LeafVerdict): StoredEvent | undefined {
    if (stored === undefined) {
      this.#missingFrom ??= seq;
      this.#before = undefined;
      return undefined;
    }
    this.#sayMissing(seq - 1);
    const event = this.#decode(seq, stored, verdict);
    if (event !== undefined) this.#checkNeighbours(event, stored.place, seq === 1);
    this.#before = event;
    return event;
  }

  /** Says what can be said when the last record, `size`, was checked. */
  finish(size: number): void {
    this.#sayMissing(size);
    if (this.#before === undefined) return;
    const { transaction } = this.#before;
    const end = transaction.first + transaction.count - 1;
    if (end > size)
      this.#say('TRANSACTION_BROKEN', size, `the log ends inside a transaction that ends at event ${end}`);
  }

  #decode(seq: number, stored: StoredRecord, verdict: LeafVerdict): StoredEvent | undefined {
    const { record, leafHash, place, leafPlace = place } = stored;
    if (leafHash === undefined && record.length > 0)
      this.#say('LEAF_MISSING', seq, `the leaf hash of event ${seq} is missing`, leafPlace);
    if (verdict === 'hash changed') {
      this.#say(
        'LEAF_WRONG',
        seq,
        `the leaf hash of event ${seq} was changed: the tree holds that of its record`,
        leafPlace,
      );
    } else if (verdict === 'undecided') {
      const message = `event ${seq} and its leaf hash do not belong together, and nothing tells which of them was changed`;
      this.#say('LEAF_WRONG', seq, message, leafPlace);
      return undefined;
    } else if (verdict === 'record changed' || record.length === 0) {
      this.#say(
        'RECORD_DAMAGED',
        seq,
        `the record of event ${seq} is not what was written: its hash is another`,
        place,
      );
      return undefined;
    }
    const event = this.#parse(seq, record, place);
    if (event === undefined || event.seq === seq) return event;
    const message = `the record that stands as event ${seq} says that it is event ${event.seq}`;
    this.#report({ code: 'SEQ_WRONG', place, seq, message, expected: seq, found: event.seq });
    return undefined;
  }

  #parse(seq: number, record: Uint8Array, place: string): StoredEvent | undefined {
    try {
      const event = decodeRecord(record);
      if (!equalHashes(encodeRecord(event), record)) {
        this.#say('RECORD_NOT_CANONICAL', seq, `the record of event ${seq} is not written as it would be today`, place);
      }
      return event;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#say('RECORD_DAMAGED', seq, `the record of event ${seq} cannot be read: ${why}`, place);
      return undefined;
    }
  }

  #checkNeighbours(event: StoredEvent, place: string, isFirst: boolean): void {
    const { seq, time, transaction } = event;
    if (time < this.#time) {
      const message = `event ${seq} is older than one before it`;
      this.#report({ code: 'TIME_DECREASED', place, seq, message, expected: this.#time, found: time });
    }
    this.#time = time;
    const begins = transaction.first === seq;
    if (isFirst && !begins) this.#say('TRANSACTION_BROKEN', seq, 'the log begins inside a transaction', place);
    if (this.#before === undefined) return;
    const end = this.#before.transaction.first + this.#before.transaction.count;
    if (begins && end !== seq) {
      this.#say(
        'TRANSACTION_BROKEN',
        seq,
        `event ${seq} begins a transaction inside one that ends at event ${end - 1}`,
        place,
      );
    } else if (!begins && !isSameCommand(this.#before, event)) {
      this.#say('TRANSACTION_BROKEN', seq, `event ${seq} is not of the transaction that it is in the middle of`, place);
    }
  }

  #sayMissing(last: number): void {
    const first = this.#missingFrom;
    this.#missingFrom = undefined;
    if (first === undefined) return;
    const [place, verb] = first === last ? [`event ${first}`, 'is'] : [`events ${first} to ${last}`, 'are'];
    this.#say('RECORD_MISSING', first, `${place} ${verb} missing from the log`, place);
  }

  #say(code: Violation['code'], seq: number, message: string, place = `event ${seq}`): void {
    this.#report({ code, place, message, seq });
  }
}

/** Whether two events are of one command, as their envelopes tell it. */
function isSameCommand(one: StoredEvent, other: StoredEvent): boolean {
  return (
    one.transaction.first === other.transaction.first &&
    one.transaction.count === other.transaction.count &&
    one.time === other.time &&
    one.actor === other.actor &&
    one.reason === other.reason &&
    one.requestId === other.requestId
  );
}
