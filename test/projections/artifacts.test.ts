import test from 'ava';
import type { ArtifactsView } from '../../projections/artifacts.js';
import { createViews, type Views } from '../../projections/views.js';
import { decodeViews, encodeViews } from '../../projections/views-codec.js';
import type { Descriptor, Digest } from '../../src/model/digest.js';
import type { EventBody } from '../../src/model/events.js';
import { plainViews } from '../support/plain-views.js';
import { eventsFrom } from '../support/stored-event.js';

const digest = (byte: string): never => `sha256:${byte.repeat(32)}` as never;
const of = (byte: string): Descriptor => ({ digest: digest(byte), size: 5, mediaType: 'm' });

function viewsOf(bodies: readonly EventBody[]): Views {
  const viewSet = createViews();
  for (const [at, body] of bodies.entries()) viewSet.fold(eventsFrom(at + 1, [body], 100 + at));
  return viewSet.views;
}

const added = (byte: string, more: { subject?: string; contains?: string[]; blobs?: string[] } = {}): EventBody => ({
  type: 'ArtifactAdded',
  artifact: of(byte),
  artifactType: 'a/b',
  subject: more.subject === undefined ? undefined : of(more.subject),
  contains: (more.contains ?? []).map(of),
  blobs: (more.blobs ?? []).map(of),
});

const removed = (byte: string, more: { subject?: string; blobs?: string[] } = {}): EventBody => ({
  type: 'ArtifactRemoved',
  artifact: of(byte),
  subject: more.subject === undefined ? undefined : of(more.subject),
  blobs: (more.blobs ?? []).map(of),
});

function keys(sets: ReadonlyMap<Digest, ReadonlySet<Digest>>): unknown {
  return [...sets].map(([key, values]) => [key, [...values]]);
}

function relations({ bySubject, indexesOf }: ArtifactsView): unknown {
  return [keys(bySubject), keys(indexesOf)];
}

test('artifacts are found by digest, by subject and by what contains them', (t) => {
  const { artifacts } = viewsOf([
    added('01', { subject: 'aa', blobs: ['f1'] }),
    added('02', { subject: 'aa' }),
    added('03', { contains: ['01', 'bb'] }),
  ]);
  t.deepEqual(artifacts.byDigest.get(digest('01')), {
    artifact: of('01'),
    artifactType: 'a/b',
    subject: of('aa'),
    contains: [],
    blobs: [of('f1')],
    seq: 1,
    time: 100,
  });
  t.deepEqual([...artifacts.byDigest.keys()], [digest('01'), digest('02'), digest('03')]);
  t.deepEqual(relations(artifacts), [
    [[digest('aa'), [digest('01'), digest('02')]]],
    [
      [digest('01'), [digest('03')]],
      [digest('bb'), [digest('03')]],
    ],
  ]);
});

test('a removed artifact is found by nothing, and one added again comes last', (t) => {
  const bodies = [added('01', { subject: 'aa' }), added('02', { subject: 'aa' }), added('03', { contains: ['01'] })];
  const { artifacts } = viewsOf([...bodies, removed('01', { subject: 'aa' }), removed('03')]);
  t.deepEqual(relations(artifacts), [[[digest('aa'), [digest('02')]]], []]);
  const again = viewsOf([...bodies, removed('01', { subject: 'aa' }), added('01', { subject: 'aa' })]).artifacts;
  t.deepEqual([...again.byDigest.keys()], [digest('02'), digest('03'), digest('01')]);
  t.deepEqual([...(again.bySubject.get(digest('aa')) ?? [])], [digest('02'), digest('01')]);
});

test('a blob is needed as long as an artifact, a layer or a manifest names it', (t) => {
  const bodies = [added('01', { blobs: ['f1', 'f2'] }), added('02', { blobs: ['f1', 'f1'] })];
  const { blobs } = viewsOf(bodies);
  t.deepEqual(
    [...blobs.byDigest.values()].map(({ uses }) => uses),
    [3, 1],
  );
  const left = viewsOf([...bodies, removed('01', { blobs: ['f1', 'f2'] })]).blobs;
  t.deepEqual([...left.byDigest], [[digest('f1'), { size: 5, uses: 2 }]]);
  t.is(
    viewsOf([...bodies, removed('01', { blobs: ['f1', 'f2'] }), removed('02', { blobs: ['f1', 'f1'] })]).blobs.byDigest
      .size,
    0,
  );
});

test('names of artifacts and of indexes are found by target, and names of one image by that', (t) => {
  const platforms = [{ image: digest('aa'), os: 'linux', architecture: 'arm' }];
  const set = (reference: string, more: object): EventBody => ({ type: 'ReferenceSet', reference, ...more });
  const bodies = [
    set('artifact', { target: of('01') }),
    set('index', { image: digest('aa'), target: of('02'), platforms }),
    set('image', { image: digest('aa'), target: of('03') }),
  ];
  const { references } = viewsOf(bodies);
  t.deepEqual([...references.byTarget.keys()], [digest('01'), digest('02')]);
  t.deepEqual([...references.byImage.keys()], [digest('aa')]);
  const moved = viewsOf([...bodies, set('artifact', { image: digest('bb'), previousTarget: digest('01') })]).references;
  t.deepEqual([...moved.byTarget.keys()], [digest('02')]);
  const gone = viewsOf([
    ...bodies,
    { type: 'ReferenceRemoved', reference: 'artifact', target: digest('01') },
  ]).references;
  t.deepEqual([...gone.byTarget.keys()], [digest('02')]);
});

test('annotations stay with their name, through a snapshot too, also under the names of prototypes', (t) => {
  const annotations = Object.fromEntries([
    ['__proto__', 'x'],
    ['10', 'ten'],
    ['b', ''],
  ]);
  const body: EventBody = {
    type: 'ReferenceSet',
    reference: 'r',
    target: of('01'),
    annotations,
    layoutAnnotations: {},
  };
  const views = viewsOf([body]);
  const entry = views.references.byName.get('r');
  t.deepEqual(Object.entries(entry?.annotations ?? {}).sort(), Object.entries(annotations).sort());
  t.deepEqual(entry?.layoutAnnotations, {});
  const decoded = decodeViews(Buffer.concat([...encodeViews(views)]));
  t.deepEqual(plainViews(decoded), plainViews(views));
  t.deepEqual(Object.keys(decoded.references.byName.get('r')?.annotations ?? {}), ['10', '__proto__', 'b']);
});
