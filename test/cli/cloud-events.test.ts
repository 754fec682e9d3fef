import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { eventToCloudEvent } from '../../src/log/event-json.js';
import { jsonText } from '../../src/cli/render/text.js';
import type { EventBody, EventType, StoredEvent } from '../../src/model/events.js';
import { eventTypes } from '../../src/model/event-table.js';
import { anyEvent, bodyArbitraries } from '../support/event-arbitraries.js';
import { fixturePath } from '../support/fixtures.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';
import { archive, ids, objectsOf, startSession } from './session.js';

const STORE_ID = '4e0e1c6a-3f0b-4bb1-9d3c-2c5f7f1f0c11';

/** The last moment that RFC 3339 can write. */
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
addFormats.default(ajv);
const isCloudEvent = ajv.compile(
  JSON.parse(readFileSync(fixturePath('cloudevents', 'cloudevents.json'), 'utf8')) as object,
);

/** Says what is wrong with an event in the JSON format: against the schema, and what the text says beyond it. */
function faults(event: Readonly<Record<string, unknown>>): string[] {
  const { data, ...attributes } = event;
  isCloudEvent(event);
  return [
    ...(isCloudEvent.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`),
    ...Object.keys(attributes)
      .filter((name) => !/^[a-z0-9]{1,20}$/.test(name))
      .map((name) => `${name} is not a name of an attribute`),
    // Control characters, halves of surrogate pairs and noncharacters are not allowed in a String.
    ...Object.entries(attributes)
      .filter(([, value]) => typeof value !== 'string' || /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(value))
      .map(([name]) => `${name} is no String`),
  ];
}

/** Any event of a type, with a name and a time as the log has them. */
function eventOf(type: EventType): fc.Arbitrary<StoredEvent> {
  const bodies = (bodyArbitraries[type] as fc.Arbitrary<EventBody>).map((body) =>
    'reference' in body ? { ...body, reference: 'registry.example.com:5000/shop/app:prod' } : body,
  );
  return fc
    .tuple(anyEvent(bodies), fc.integer({ min: 0, max: LAST_TIME }))
    .map(([event, time]) => ({ ...event, time }));
}

const isValid = test.macro({
  title: (_, type: EventType) => `every ${type} is a valid CloudEvent`,
  exec: (t: ExecutionContext, type: EventType) => {
    fc.assert(
      fc.property(eventOf(type), (event) => {
        const line = jsonText(eventToCloudEvent(event, { storeId: STORE_ID }));
        t.deepEqual(faults(JSON.parse(line) as Record<string, unknown>), [], line);
      }),
      { numRuns: 50 },
    );
  },
});

for (const type of eventTypes) test(isValid, type);

test('the schema finds what is wrong', (t) => {
  const good = { specversion: '1.0', id: 'a/1', source: '/imagelog/a', type: 'dev.imagelog.ImageCreated' };
  t.deepEqual(faults(good), []);
  t.not(faults({ ...good, id: '' }).length, 0);
  t.not(faults({ ...good, source: 'a b' }).length, 0);
  t.not(faults({ ...good, time: '2026-01-31 12:00' }).length, 0);
  t.not(faults({ ...good, subject: 7 }).length, 0);
  t.not(faults({ ...good, requestId: 'T-1' }).length, 0);
  t.not(faults({ ...good, subject: '\u001b' }).length, 0);
});

test('a traceparent is an attribute in the form of W3C Trace Context alone, and in the data always', (t) => {
  const [trace, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
  const [event] = eventsFrom(1, [creationOf('a')]) as [StoredEvent];
  const given = (traceparent: string | undefined): unknown[] => {
    const cloud = eventToCloudEvent({ ...event, traceparent }, { storeId: STORE_ID });
    t.is(cloud.data['traceparent'], traceparent);
    return 'traceparent' in cloud ? [cloud.traceparent] : [];
  };
  for (const good of [`00-${trace}-${parent}-01`, `01-${trace}-${parent}-00`, `cc-${trace}-${parent}-01-what-comes`])
    t.deepEqual(given(good), [good]);
  for (const bad of [
    undefined,
    '',
    `ff-${trace}-${parent}-01`,
    `00-${trace}-${parent}-01-more`,
    `00-${trace}-${parent}-01\n`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `01-${trace}-${parent}-01-\u001b`,
    `01-${trace}-${parent}-01.what`,
    ` 00-${trace}-${parent}-01`,
  ]) {
    t.deepEqual(given(bad), [], bad);
  }
});

test('sequences sort as text in the order of the log', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.maxSafeNat(), { minLength: 2 }), eventOf('ParentCleared'), (seqs, event) => {
      const sequenceOf = (seq: number): string =>
        String(eventToCloudEvent({ ...event, seq }, { storeId: STORE_ID }).sequence);
      const inOrder = seqs.toSorted((a, b) => a - b).map(sequenceOf);
      t.deepEqual([...inOrder].sort(), inOrder);
      t.is(new Set(inOrder.map((text) => text.length)).size, 1);
    }),
  );
});

test('a life of real images, from loading to deleting, is given as valid CloudEvents', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'), archive('oci-multi-platform.tar'));
  await done('tag', '--reason', 'für später\u0007', '--request-id', 'T-1', 'tiny:1', 'shop/app:prod');
  await done('untag', 'shop/app:prod');
  await done('rm', '--force', ids.tinyLib);
  const events = objectsOf(await done('log', '--format', 'cloudevents'));
  t.deepEqual(events.flatMap(faults), []);
  t.is(new Set(events.map(({ source, id }) => `${source} ${id}`)).size, events.length);
  const seen = new Set(events.map(({ type }) => String(type).replace('dev.imagelog.', '')));
  for (const type of ['ImageDeleted', 'ParentCleared', 'ReferenceRemoved', 'LayerAdded', 'ManifestAdded'])
    t.true(seen.has(type), type);
});
