import test from 'ava';
import fc from 'fast-check';
import { createViews, type EncodedViews, pastViews, viewNames } from '../../projections/views.js';
import { SnapshotDamage } from '../../projections/snapshot-format.js';
import { encodeViews, openViews } from '../../projections/views-codec.js';
import { eventStreams } from '../support/event-streams.js';
import { plainViews } from '../support/plain-views.js';
import { storeError } from '../support/store-error.js';

test('views of the past are those of a fold, from a snapshot and without one', (t) => {
  fc.assert(
    fc.property(eventStreams, fc.nat(80), (events, cut) => {
      const whole = createViews();
      whole.fold(events);
      const first = createViews();
      first.fold(events.slice(0, cut));
      const snapshot = openViews(Buffer.concat([...encodeViews(first.views)]));
      const rest = events.slice(cut);
      const pages = [rest.slice(0, 3), rest.slice(3)];
      t.deepEqual(plainViews(pastViews(snapshot, pages)), plainViews(whole.views));
      t.deepEqual(plainViews(pastViews(undefined, [events])), plainViews(whole.views));
    }),
    { numRuns: 60 },
  );
});

test('each view of the past is made when it is first asked for, and once', (t) => {
  const empty = openViews(Buffer.concat([...encodeViews(createViews().views)]));
  const decoded: string[] = [];
  const counting: EncodedViews = {
    decode(name) {
      decoded.push(name);
      return empty.decode(name);
    },
  };
  const views = pastViews(counting, []);
  t.deepEqual(decoded, []);
  const { references } = views;
  t.is(views.references, references);
  t.deepEqual(decoded, ['references']);
  t.deepEqual(Object.keys(views), [...viewNames]);
  void views.images;
  t.deepEqual(decoded, ['references', 'images']);
});

test('a view that was damaged before its checksum was made is reported when it is asked for, each time', (t) => {
  const broken: EncodedViews = {
    decode() {
      throw new SnapshotDamage('it names number 7, which is not in its tables');
    },
  };
  const views = pastViews(broken, []);
  for (let time = 0; time < 2; time++) {
    t.regex(
      storeError(t, 'CONTENT_CORRUPT', () => views.images).message,
      /the view images of a snapshot is damaged: it names/,
    );
  }
  const failing = pastViews(
    {
      decode: () => {
        throw new RangeError('no snapshot');
      },
    },
    [],
  );
  t.throws(() => failing.images, { instanceOf: RangeError });
});
