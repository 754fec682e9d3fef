import test from 'ava';
import { createViews } from '../../projections/views.js';
import type { EventBody } from '../../src/model/events.js';
import { eventsFrom } from '../support/stored-event.js';

const digest = (byte: string): never => `sha256:${byte.repeat(32)}` as never;
const descriptor = (byte: string) => ({ digest: digest(byte), size: 5, mediaType: 'm' });
const erased: EventBody = { type: 'ContentErased', digest: digest('ee'), size: 7 };

/** The erasures after events that were each a command of `tester`. */
function erasuresAfter(bodies: readonly EventBody[]): unknown[] {
  const viewSet = createViews();
  for (const [at, body] of bodies.entries()) {
    viewSet.fold(eventsFrom(at + 1, [body], 100 + at).map((event) => ({ ...event, reason: 'ticket 7' })));
  }
  return [...viewSet.views.erasures.values()];
}

test('an erasure is known with when, by whom, why and how much', (t) => {
  const facts = { digest: digest('ee'), size: 7, actor: 'tester', reason: 'ticket 7' };
  t.deepEqual(erasuresAfter([erased]), [{ ...facts, seq: 1, time: 100 }]);
  t.deepEqual(erasuresAfter([erased, erased]), [{ ...facts, seq: 2, time: 101 }]);
});

const comesAgain = test.macro<[EventBody]>({
  exec(t, body) {
    t.deepEqual(erasuresAfter([erased, body]), []);
  },
  title: (given = '', { type }) => `what ${type} names${given} was erased no more`,
});

const layer = { chainId: digest('01'), diffId: digest('02'), size: 5, diffSize: 5 };

const about = (subject: string) => ({ artifact: descriptor('bb'), subject: descriptor(subject), blobs: [] });

test(comesAgain, { type: 'ImageCreated', image: digest('ee'), size: 7, os: 'linux', architecture: 'amd64' });
test(' as its bytes', comesAgain, {
  type: 'ManifestAdded',
  image: digest('aa'),
  manifest: descriptor('ee'),
  layers: [],
});
test(' as a layer', comesAgain, {
  type: 'ManifestAdded',
  image: digest('aa'),
  manifest: descriptor('bb'),
  layers: [descriptor('ee')],
});
test(comesAgain, { type: 'ReferenceSet', reference: 'r', image: digest('aa'), target: descriptor('ee') });
test(comesAgain, { type: 'LayerAdded', ...layer, blob: descriptor('ee') });

test(' as its manifest', comesAgain, {
  type: 'ArtifactAdded',
  artifact: descriptor('ee'),
  artifactType: '',
  contains: [],
  blobs: [],
});
test(' as its blob', comesAgain, {
  type: 'ArtifactAdded',
  artifact: descriptor('bb'),
  artifactType: '',
  contains: [],
  blobs: [descriptor('ee')],
});

test('events that only speak of a digest bring nothing back', (t) => {
  const bodies: readonly EventBody[] = [
    { type: 'ImageDeleted', image: digest('ee') },
    { type: 'ReferenceSet', reference: 'r', image: digest('ee') },
    { type: 'LayerRemoved', ...layer, blob: descriptor('ee') },
    { type: 'ArtifactAdded', ...about('ee'), artifactType: '', contains: [descriptor('ee')] },
    { type: 'ArtifactRemoved', ...about('ee') },
  ];
  t.is(erasuresAfter([erased, ...bodies]).length, 1);
});
