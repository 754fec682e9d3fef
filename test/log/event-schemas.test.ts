import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { eventToCloudEvent, eventToJSON } from '../../src/log/event-json.js';
import type { EventBody, EventType, StoredEvent } from '../../src/model/events.js';
import { eventTypes } from '../../src/model/event-table.js';
import { anyEvent, bodyArbitraries } from '../support/event-arbitraries.js';
import { projectRoot } from '../support/fixtures.js';

interface Schema {
  readonly oneOf: readonly object[];
  readonly definitions: Readonly<Record<string, { readonly properties: Readonly<Record<string, unknown>> }>>;
}

type Json = Readonly<Record<string, unknown>>;

const STORE = { storeId: '4e0e1c6a-3f0b-4bb1-9d3c-2c5f7f1f0c11' };
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');
const ROUTE = ['via', 'address', 'agent', 'traceparent'] as const;
/** Common fields of an event in JSON, besides those of its type. */
const COMMON = ['seq', 'time', 'type', 'actor', 'reason', 'requestId', 'transaction', 'clock', ...ROUTE];

const read = (name: string): Schema => JSON.parse(readFileSync(join(projectRoot, 'schemas', name), 'utf8')) as Schema;
const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
addFormats.default(ajv);
const [eventSchema, cloudSchema] = [read('event.json'), read('cloudevent.json')];
const [isEvent, isCloudEvent] = [ajv.compile(eventSchema), ajv.compile(cloudSchema)];

const parsed = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json;

function checkValid(t: ExecutionContext, validate: ValidateFunction, value: Json): void {
  validate(value);
  t.deepEqual(validate.errors ?? [], [], JSON.stringify(value));
}

/** Any event of a type with an actor and a time that the log may have. */
function eventOf(type: EventType): fc.Arbitrary<StoredEvent> {
  const bodies = (bodyArbitraries[type] as fc.Arbitrary<EventBody>).map((body) =>
    'reference' in body ? { ...body, reference: 'docker.io/shop/app:prod' } : body,
  );
  return fc
    .tuple(anyEvent(bodies), fc.integer({ min: 0, max: LAST_TIME }), fc.boolean())
    .filter(([{ actor }]) => actor !== '')
    .map(([event, time, isBehind]) => ({ ...event, time, ...(isBehind ? { clock: 0 } : {}) }));
}

for (const type of eventTypes) {
  test(`every ${type} is what the schemas say, and they have no field that it lacks`, (t) => {
    const seen = new Set<string>();
    const check = (event: StoredEvent): void => {
      const json = parsed(eventToJSON(event));
      checkValid(t, isEvent, json);
      const cloud = parsed(eventToCloudEvent(event, STORE));
      checkValid(t, isCloudEvent, cloud);
      for (const name of Object.keys(json)) seen.add(name);
      // Each field that is there is one of the schema, with its type; each that must be is asked for.
      t.false(isEvent({ ...json, more: 1 }));
      t.false(isCloudEvent({ ...cloud, data: { ...(cloud['data'] as Json), more: 1 } }));
      for (const name of Object.keys(json))
        t.false(isEvent({ ...json, [name]: { 7: 7 } }) && name !== 'annotations', name);
      for (const name of ['seq', 'actor', 'reason', 'transaction'])
        t.false(isEvent({ ...json, [name]: undefined }), name);
    };
    fc.assert(fc.property(eventOf(type), check), { numRuns: 60 });
    const own = Object.keys(eventSchema.definitions[type]?.properties ?? {}).sort();
    t.deepEqual(own, [...seen].sort());
    const data = Object.keys(cloudSchema.definitions[type]?.properties ?? {});
    t.deepEqual(
      data.sort(),
      own.filter((name) => !['seq', 'time', 'type'].includes(name)),
    );
    for (const name of COMMON) t.true(own.includes(name), name);
  });
}

test('the schemas have every type, and no other', (t) => {
  const types = (schema: Schema): string[] => Object.keys(schema.definitions).filter((name) => /^[A-Z]/.test(name));
  for (const schema of [eventSchema, cloudSchema]) {
    t.deepEqual(types(schema).sort(), [...eventTypes].sort());
    t.is(schema.oneOf.length, eventTypes.length);
  }
});

test('a metadata value that is no text is base64 and says so', (t) => {
  const body = { type: 'MetadataSet', image: `sha256:${'a'.repeat(64)}`, key: 'k' } as const;
  const envelope = { seq: 1, time: 0, transaction: { first: 1, count: 1 }, actor: 'a' };
  const json = (value: Uint8Array): Json => parsed(eventToJSON({ ...envelope, ...body, value } as StoredEvent));
  t.like(json(new TextEncoder().encode('für\n')), { value: 'für\n' });
  t.false('valueEncoding' in json(new TextEncoder().encode('für')));
  for (const bytes of [Uint8Array.of(0xff, 0xfe), Uint8Array.of(0x1b)]) {
    const value = Buffer.from(bytes).toString('base64');
    t.like(json(bytes), { value, valueEncoding: 'base64' });
    checkValid(t, isEvent, json(bytes));
  }
});
