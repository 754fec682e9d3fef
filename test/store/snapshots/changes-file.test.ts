import test from 'ava';
import { SnapshotDamage } from '../../../projections/snapshot-format.js';
import { pastViews } from '../../../projections/views.js';
import { ChangesBuilder, gaps, openSteps } from '../../../src/store/snapshots/changes-file.js';
import { creationOf, entriesOf, eventsFrom } from '../../support/stored-event.js';

const entries = entriesOf(
  eventsFrom(
    1,
    Array.from({ length: 10 }, (_, at) => creationOf(`${at}`)),
  ),
);

function payloadOf(stepEvents: number, events = entries): Uint8Array {
  const builder = new ChangesBuilder(() => stepEvents);
  for (const entry of events) builder.add(entry);
  return Buffer.concat(builder.finish());
}

test('a payload has its steps, one after another, the last with what is left', (t) => {
  const steps = openSteps(payloadOf(4), { from: 0, to: 10 });
  t.deepEqual(
    steps.map(({ from, to }) => [from, to]),
    [
      [0, 4],
      [4, 8],
      [8, 10],
    ],
  );
  const sizes = steps.map(
    (_, at) =>
      pastViews(
        undefined,
        steps.slice(0, at + 1).map(({ changes }) => changes),
      ).images.size,
  );
  t.deepEqual(sizes, [4, 8, 10]);
  t.deepEqual(openSteps(payloadOf(4, []), { from: 7, to: 7 }), []);
});

test('a payload of another count of events, cut, longer or with another list of steps is damage', (t) => {
  const payload = payloadOf(4);
  const broken: readonly [Uint8Array, RegExp][] = [
    [payload.subarray(0, 5), /ends before it begins/],
    [payload.subarray(1), /longer than it is|left over|before/],
    [payload.with(payload.length - 5, 200), /left over|longer|before|middle/],
    [payload.with(payload.length - 1, 2), /longer than its steps/],
    [payload.with(payload.length - 1, 9), /middle of its steps/],
    [payload.with(payload.length - 8, 255), /before its steps/],
  ];
  for (const [bytes, message] of broken) {
    t.throws(() => openSteps(bytes, { from: 0, to: 10 }), { instanceOf: SnapshotDamage, message });
  }
  t.throws(() => openSteps(payload, { from: 0, to: 11 }), {
    instanceOf: SnapshotDamage,
    message: 'it is of 10 events',
  });
});

test('gaps are what no stretch covers, up to an event', (t) => {
  t.deepEqual(gaps([], 0), []);
  t.deepEqual(gaps([], 5), [{ from: 0, to: 5 }]);
  t.deepEqual(gaps([{ from: 0, to: 5 }], 5), []);
  const stretches = [
    { from: 2, to: 4 },
    { from: 3, to: 6 },
    { from: 8, to: 20 },
  ];
  t.deepEqual(gaps(stretches, 30), [
    { from: 0, to: 2 },
    { from: 6, to: 8 },
    { from: 20, to: 30 },
  ]);
  t.deepEqual(gaps(stretches, 7), [
    { from: 0, to: 2 },
    { from: 6, to: 7 },
  ]);
});
