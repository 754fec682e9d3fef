import test from 'ava';
import { EMPTY_LAYER_DIFF_ID, newChildImage, newFromJSON, newImage } from '../../src/model/image.js';
import { type DiffId, digestOf, type ImageId } from '../../src/model/digest.js';
import { timestampFromMs } from '../../src/model/timestamp.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

const diffId = digestOf(bytesOf('layer')) as DiffId;
const base = newImage(digestOf(bytesOf('base')) as ImageId);
const timeMs = Date.parse('2024-05-06T07:08:09.010Z');

test('a child of nothing has one layer and one step, made now', (t) => {
  const child = newChildImage(
    base,
    { diffId, author: 'me', comment: 'why', containerId: 'c1', containerConfig: { cmd: ['sh', '-c', 'x'] } },
    'linux',
    { now: () => timeMs, hostArchitecture: 's390x' },
  );
  t.deepEqual(child.rootFS.diffIds, [diffId]);
  t.is(child.created, timestampFromMs(timeMs));
  t.deepEqual(child.history, [
    { created: timestampFromMs(timeMs), createdBy: 'sh -c x', author: 'me', comment: 'why', emptyLayer: false },
  ]);
  t.is(child.architecture, 's390x');
  t.is(child.os, 'linux');
  t.is(child.container, 'c1');
  t.is(child.dockerVersion, 'library-import');
  t.is(child.comment, '');
  t.is(child.config, undefined);
});

test('the empty layer adds a step and no layer', (t) => {
  const child = newChildImage(base, { diffId: EMPTY_LAYER_DIFF_ID }, 'linux');
  t.deepEqual(child.rootFS.diffIds, []);
  t.deepEqual(
    child.history.map(({ emptyLayer }) => emptyLayer),
    [true],
  );
});

test('the digest of the empty layer is that of two blocks of zeros', (t) => {
  t.is(digestOf(new Uint8Array(1_024)) as DiffId, EMPTY_LAYER_DIFF_ID);
});

test('the id of a child is the digest of its marshalled config, which reads back as the same image', (t) => {
  const child = newChildImage(base, { diffId, config: { labels: { a: 'b' } } }, 'linux', { now: () => timeMs });
  const again = newFromJSON(child.rawJSON());
  t.is(child.id(), digestOf(child.marshalJSON()) as ImageId);
  t.is(again.id(), child.id());
  t.is(textOf(again.marshalJSON()), textOf(child.marshalJSON()));
});

test('a child leaves its parent as it was', (t) => {
  const first = newChildImage(base, { diffId }, 'linux');
  const before = textOf(first.marshalJSON());
  const second = newChildImage(first, { diffId }, 'linux');
  t.is(second.history.length, 2);
  t.is(textOf(first.marshalJSON()), before);
  t.is(first.history.length, 1);
});
