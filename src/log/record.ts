import { Packr } from 'msgpackr';
import { StoreError } from '../errors.js';
import { MAX_RECORD_BYTES } from '../limits.js';
import { type EventBody, type Route, routeOf, type StoredEvent } from '../model/events.js';
import type { EventFacts } from '../model/event-facts.js';
import { eventFacts, factsOf } from '../model/event-table.js';
import { FieldReader } from '../model/record-fields.js';

/** The newest record format; every older one is readable. Only an event with a route needs it. */
export const RECORD_FORMAT = 2;
/** The format of all other events. */
const PLAIN_FORMAT = 1;
/** Index of the route in a record of format 2. */
const ROUTE_INDEX = 9;

// Plain arrays and binary only, no extension types or shared structures: any MessagePack reader
// understands a record by itself.
const packr = new Packr({ useRecords: false, mapsAsObjects: true });

const FACTS_OF_CODE = new Map(Object.values(eventFacts).map((facts) => [facts.code, facts as EventFacts<EventBody>]));

/**
 * Encodes `event` as a MessagePack array: format, seq, time (with the clock's, if it was behind), type code, first seq and count of the
 * transaction, actor, reason, request id, the route, if there is one, then the type's fields (src/log/README.md).
 * @throws {StoreError} RECORD_TOO_LARGE when it exceeds MAX_RECORD_BYTES
 */
export function encodeRecord(event: StoredEvent): Uint8Array {
  const record: Uint8Array = packr.pack(recordValues(event));
  if (record.length > MAX_RECORD_BYTES) {
    throw new StoreError(
      'RECORD_TOO_LARGE',
      `cannot record ${event.type}: its record has ${record.length} bytes, at most ${MAX_RECORD_BYTES} are allowed`,
      { data: { type: event.type, size: record.length, limit: MAX_RECORD_BYTES } },
    );
  }
  return record;
}

/** Returns the values of the array that is the record of `event`. */
export function recordValues(event: StoredEvent): unknown[] {
  const { seq, time, clock, transaction, actor, reason, requestId } = event;
  const facts = factsOf(event);
  const values = [
    PLAIN_FORMAT,
    seq,
    clock === undefined ? time : [time, clock],
    facts.code,
    transaction.first,
    transaction.count,
    actor,
    reason ?? null,
    requestId ?? null,
    ...facts.write(event),
  ];
  const route = routeOf(event);
  return route === undefined ? values : withRoute(values, route);
}

function withRoute(values: readonly unknown[], { via, address, agent, traceparent }: Route): unknown[] {
  const route = [via ?? null, address ?? null, agent ?? null, traceparent ?? null];
  return [RECORD_FORMAT, ...values.slice(1, ROUTE_INDEX), route, ...values.slice(ROUTE_INDEX)];
}

function readRoute(fields: FieldReader): Route {
  const given = fields.nested('route', () => ({
    via: fields.optionalText('via'),
    address: fields.optionalText('address'),
    agent: fields.optionalText('agent'),
    traceparent: fields.optionalText('traceparent'),
  }));
  const route = routeOf(given);
  // The same event without it has another record.
  if (route === undefined) throw fields.fault('route', 'says nothing');
  return route;
}

/**
 * Decodes the record in `bytes`, all of them.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED for a newer format, LOG_CORRUPT otherwise
 */
export function decodeRecord(bytes: Uint8Array): StoredEvent {
  const fields = new FieldReader(bytes);
  const format = fields.integer('format');
  if (format !== PLAIN_FORMAT && format !== RECORD_FORMAT) {
    throw new StoreError(
      'STORE_FORMAT_UNSUPPORTED',
      `a record has format ${format}; this version reads up to ${RECORD_FORMAT}`,
      { data: { format } },
    );
  }
  const seq = fields.integer('seq');
  let time: number;
  let clock: number | undefined;
  if (fields.isAtPair) {
    [time, clock] = fields.pair('time');
    if (clock >= time) throw fields.fault('time', 'has a clock that is not behind it');
  } else {
    time = fields.integer('time');
  }
  const facts = factsOfCode(fields.integer('type'));
  const first = fields.integer('transaction.first');
  const count = fields.integer('transaction.count');
  if (first < 1 || first > seq || seq >= first + count)
    throw fields.fault('transaction', 'does not hold its own event');
  const actor = fields.text('actor');
  const reason = fields.optionalText('reason');
  const requestId = fields.optionalText('requestId');
  const route = format === PLAIN_FORMAT ? undefined : readRoute(fields);
  const event = facts.read({ seq, time, transaction: { first, count }, actor, reason, requestId }, fields);
  fields.end();
  // Rare, and so not in the literals of the table: one more field costs every other event.
  if (clock !== undefined) Object.assign(event, { clock });
  return route === undefined ? event : Object.assign(event, route);
}

function factsOfCode(code: number): EventFacts<EventBody> {
  const facts = FACTS_OF_CODE.get(code);
  if (facts !== undefined) return facts;
  throw new StoreError('STORE_FORMAT_UNSUPPORTED', `a record has the unknown event type ${code}`, { data: { code } });
}
