import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type ErrorCode, isStoreError } from '../../../src/errors.js';
import { eventTypes } from '../../../src/model/event-table.js';
import { subjectsOf } from '../../../src/model/subjects.js';
import type { ChainId } from '../../../src/model/digest.js';
import { compileFilter, type EventFilter } from '../../../src/store/follow/event-filter.js';
import { anyEvent } from '../../support/event-arbitraries.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { storeError } from '../../support/store-error.js';
import { openTestStore } from '../../support/test-store.js';

const image = idNamed('a');
const chainId = idNamed('chain') as string as ChainId;
const reference = 'x:1';

const refused = test.macro({
  title: (_, filter: unknown) => `a filter that no event can pass is refused: ${JSON.stringify(filter)}`,
  exec: (t: ExecutionContext, filter: EventFilter, message: RegExp, code: ErrorCode = 'FILTER_INVALID') => {
    t.regex(storeError(t, code, () => compileFilter(filter)).message, message);
  },
});

for (const fact of ['type', 'image', 'reference', 'chainId', 'actor', 'requestId', 'reasonIncludes', 'via'] as const) {
  test(refused, { [fact]: [] }, new RegExp(`values for ${fact} is empty`));
}
test(refused, { actor: '' }, /its actor is empty/);
test(refused, { actor: ['ann', ''] }, /its actor is empty/);
test(
  refused,
  { since: 2, until: 1 },
  /begins at 1970-01-01T00:00:00\.002Z \(since\) and ends before, at 1970-01-01T00:00:00\.001Z/,
);
test(refused, { type: 'LayerAdded', image }, /no LayerAdded has image/);
test(refused, { type: ['LayerAdded', 'LayerRemoved'], image, actor: 'ann' }, /no LayerAdded or LayerRemoved has image/);
test(refused, { type: 'ImageCreated', reference }, /no ImageCreated has reference/);
test(refused, { type: 'ReferenceSet', chainId }, /no ReferenceSet has chainId/);
test(refused, { reference, chainId }, /no event has reference and chainId/);
test(refused, { image: 'sha256:12' as never }, /"sha256:12" is not a digest/, 'DIGEST_INVALID');
test(refused, { chainId: [chainId, 'x' as never] }, /"x" is not a digest/, 'DIGEST_INVALID');
test(refused, { reference: 'UPPER:1' }, /UPPER/, 'REFERENCE_INVALID');
test(refused, { reference: 'shop/[' }, /^cannot read the pattern shop\/\[: a bracket or backslash stands alone$/);
test(refused, { reference: ['x:1', '[z-a]'] }, /a range in brackets is backwards/);
test(refused, { reference: '*', chainId }, /no event has reference and chainId/);
test(refused, { reference: '*', type: 'LayerAdded' }, /no LayerAdded has reference/);
test(refused, { reference: '*'.repeat(1_000) }, /expected at most \d+ characters, found 1000/);

test('values of a wrong type are refused', (t) => {
  for (const filter of [{ requestId: 1 }, { reasonIncludes: ['x', null] }, { reference: {} }, { via: 7 }] as never[]) {
    t.throws(() => compileFilter(filter), { instanceOf: TypeError });
  }
});

test('read and follow refuse a filter that no event can pass when they are called', async (t) => {
  const store = await openTestStore(t);
  for (const way of ['read', 'follow'] as const) {
    storeError(t, 'FILTER_INVALID', () => store.log[way]({ filter: { actor: [] } }));
    storeError(t, 'DIGEST_INVALID', () => store.log[way]({ filter: { image: 'latest' as never } }));
    storeError(t, 'REFERENCE_INVALID', () => store.log[way]({ filter: { reference: 'X' } }));
    storeError(t, 'FILTER_INVALID', () => store.log[way]({ filter: { reference: '[' } }));
  }
});

test('a filter for what an event is about is accepted, and the event passes it', (t) => {
  const property = fc.property(anyEvent(), (event) => {
    const { images, chains, actor } = subjectsOf(event);
    const filter: EventFilter = {
      type: event.type,
      image: images[0],
      chainId: chains[0],
      actor: actor === '' ? undefined : actor,
      since: event.time,
      until: event.time,
    };
    return compileFilter(filter).passes?.(event) === true;
  });
  t.notThrows(() => fc.assert(property, { numRuns: 1_000 }));
});

test('a type is refused together with a kind of subject only if no event of the type has one', (t) => {
  const seen = new Set<string>();
  const property = fc.property(anyEvent(), (event) => {
    const { images, references, chains } = subjectsOf(event);
    if (images.length > 0) seen.add(`${event.type} image`);
    if (references.length > 0) seen.add(`${event.type} reference`);
    if (chains.length > 0) seen.add(`${event.type} chainId`);
  });
  fc.assert(property, { numRuns: 2_000 });
  for (const type of eventTypes) {
    for (const [kind, value] of Object.entries({ image, reference, chainId })) {
      t.is(seen.has(`${type} ${kind}`), accepts({ type, [kind]: value }), `${type} with ${kind}`);
    }
  }
});

function accepts(filter: EventFilter): boolean {
  try {
    compileFilter(filter);
    return true;
  } catch (error) {
    if (isStoreError(error, 'FILTER_INVALID')) return false;
    throw error;
  }
}

test('a filter looks up the kind of subject that the fewest events share', (t) => {
  const { subjects } = compileFilter({ actor: 'ann', image, chainId });
  t.deepEqual(subjects, [{ image }]);
  t.deepEqual(compileFilter({ actor: 'ann', image, reference: [reference, 'y'] }).subjects, [
    { reference: 'docker.io/library/x:1' },
    { reference: 'docker.io/library/y:latest' },
  ]);
  t.deepEqual(compileFilter({ actor: 'ann', chainId }).subjects, [{ chainId }]);
  t.deepEqual(compileFilter({ actor: ['ann', 'ben'] }).subjects, [{ actor: 'ann' }, { actor: 'ben' }]);
  t.is(compileFilter({ type: 'ImageCreated', since: 1 }).subjects, undefined);
  t.is(compileFilter({ requestId: 'x', reasonIncludes: 'y' }).subjects, undefined);
  t.is(compileFilter({ reference: ['x:1', '*:2'], actor: 'ann' }).subjects, undefined, 'a pattern is searched for');
  t.deepEqual(compileFilter({ reference: '*', image }).subjects, [{ image }]);
});

test('times may be a Date or words, by the clock: the start of what they name, or its end', (t) => {
  const now = (): number => Date.parse('2026-11-29T10:30:00Z');
  const isoOf = (filter: EventFilter): unknown[] => {
    const { since, until } = compileFilter(filter, now);
    return [since, until].map((time) => time !== undefined && new Date(time).toISOString());
  };
  t.deepEqual(isoOf({ since: '2h', until: 'now' }), ['2026-11-29T08:30:00.000Z', '2026-11-29T10:30:00.000Z']);
  t.deepEqual(isoOf({ since: 'yesterday', until: 'yesterday' }), [
    '2026-11-28T00:00:00.000Z',
    '2026-11-28T23:59:59.999Z',
  ]);
  t.deepEqual(isoOf({ since: new Date(5), until: '2026-11-28 09:00' }), [
    '1970-01-01T00:00:00.005Z',
    '2026-11-28T09:00:59.999Z',
  ]);
  storeError(t, 'TIME_INVALID', () => compileFilter({ since: '2026' }, now));
  storeError(t, 'TIME_INVALID', () => compileFilter({ until: 'soon' }, now));
  const { message } = storeError(t, 'TIME_INVALID', () => compileFilter({ since: '@12' }, now));
  t.is(message, 'since takes a time, and @12 is an event: for events take from and to');
  storeError(t, 'FILTER_INVALID', () => compileFilter({ since: 'today', until: 'yesterday' }, now));
  t.throws(() => compileFilter({ since: new Date(Number.NaN) }, now), { instanceOf: TypeError, message: /^since / });
});

test('now is the head of the log, also by a clock that went back', async (t) => {
  let now = 5_000_000;
  const store = await openTestStore(t, { now: () => now });
  await store.create(imageConfig('a'));
  now -= 1_000_000;
  await store.create(imageConfig('b'));
  const seqs = async (filter: EventFilter): Promise<number[]> => {
    const found: number[] = [];
    for await (const { seq } of store.log.read({ filter })) found.push(seq);
    return found;
  };
  t.deepEqual(await seqs({ until: 'now' }), [1, 2]);
  const consumer = store.consumer('c', { filter: { until: 'now' } });
  t.like(await store.consumers(), [{ behind: 2, filter: { until: 5_000_000 } }]);
  await consumer.close();
  now = 9_000_000;
  t.deepEqual(await seqs({ since: 'now' }), []);
  t.is((await store.pointAt('now')).seq, 2);
});
