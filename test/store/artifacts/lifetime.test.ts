import test from 'ava';
import { createViews, type Views } from '../../../projections/views.js';
import { isStoreError } from '../../../src/errors.js';
import type { Descriptor, Digest, ImageId } from '../../../src/model/digest.js';
import type { EventBody } from '../../../src/model/events.js';
import { decideDeleteArtifact } from '../../../src/store/commands/artifacts.js';
import { ChangedFacts, type Decide, NotedState } from '../../../src/store/commands/decision.js';
import { decideDelete } from '../../../src/store/commands/images.js';
import { decideTag, decideUntag } from '../../../src/store/commands/tag.js';
import { contradictionOf } from '../../../src/store/verify/record-check.js';
import { eventsFrom } from '../../support/stored-event.js';

/*
 * When artifacts go, and when they stay. Digests are written as their first byte: images 1x, their
 * manifests 2x, artifacts and indexes from a0 on.
 */

const digest = (byte: string): never => `sha256:${byte.repeat(32)}` as never;
const of = (byte: string): Descriptor => ({ digest: digest(byte), size: 5, mediaType: 'm' });

function image(byte: string, manifest: string): EventBody[] {
  return [
    { type: 'ImageCreated', image: digest(byte), size: 2, os: 'linux', architecture: 'arm' },
    { type: 'ManifestAdded', image: digest(byte), manifest: of(manifest), layers: [] },
  ];
}

function artifact(byte: string, more: { subject?: string; contains?: readonly string[] } = {}): EventBody {
  const subject = more.subject === undefined ? undefined : of(more.subject);
  const contains = (more.contains ?? []).map(of);
  return { type: 'ArtifactAdded', artifact: of(byte), artifactType: 't', subject, contains, blobs: [] };
}

function named(reference: string, target: string, images: readonly string[] = []): EventBody {
  const platforms = images.map((id) => ({ image: digest(id) as ImageId, os: 'linux', architecture: 'arm' }));
  const pointed = images.length === 0 ? {} : { image: platforms[0]?.image, platforms };
  return { type: 'ReferenceSet', reference, target: of(target), ...pointed };
}

/** The views after events that follow from each other. */
function viewsOf(bodies: readonly EventBody[]): Views {
  const viewSet = createViews();
  for (const event of eventsFrom(1, bodies)) {
    const fault = contradictionOf(viewSet.views, event);
    if (fault !== undefined) throw new Error(`event ${event.seq} ${fault}`);
    viewSet.fold([event]);
  }
  return viewSet.views;
}

/** The events of a decision, in short, that follow from those before; or the code of its error. */
function decided(bodies: readonly EventBody[], decide: Decide<unknown>): string {
  try {
    const { events } = decide(new NotedState(viewsOf(bodies), { holdsOf: () => 0 }));
    viewsOf([...bodies, ...events]);
    return events.map(shortly).join(', ');
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
}

function shortly(event: EventBody): string {
  switch (event.type) {
    case 'ArtifactRemoved':
      return `-${event.artifact.digest.slice(7, 9)}`;
    case 'ImageDeleted':
      return `-${event.image.slice(7, 9)}`;
    case 'ReferenceRemoved':
      return `-${event.reference}`;
    case 'ReferenceSet':
      return `${event.reference}=${(event.image ?? event.target?.digest)?.slice(7, 9)}`;
    default:
      return event.type;
  }
}

const goes = test.macro<[readonly EventBody[], Decide<unknown>, string]>((t, bodies, decide, expected) => {
  t.is(decided(bodies, decide), expected);
});

const remove = (byte: string, force = false): Decide<unknown> => decideDeleteArtifact(digest(byte), force);
const rmName = (reference: string): Decide<unknown> => decideUntag(reference, true);
const untag = (reference: string): Decide<unknown> => decideUntag(reference, false);
const rmImage = (byte: string): Decide<unknown> => decideDelete(digest(byte));

/** An index of an image and its attestation, as BuildKit writes it, and a signature of that index. */
const built = [
  ...image('11', '21'),
  artifact('a1'),
  artifact('b1', { contains: ['21', 'a1'] }),
  artifact('c1', { subject: 'b1' }),
  named('app', 'b1', ['11']),
];

test(
  'a name takes along its index, what that contains, and what is about it',
  goes,
  built,
  rmName('app'),
  '-app, -b1, -c1, -a1',
);
test('untag takes nothing along', goes, built, untag('app'), '-app');
test('the last image of a name takes all along', goes, built, rmImage('11'), '-app, -11, -b1, -c1, -a1');
test('a name keeps what another name holds', goes, [...built, named('other', 'b1', ['11'])], rmName('app'), '-app');
test(
  'an image that two names hold takes all along',
  goes,
  [...built, named('other', 'b1', ['11'])],
  rmImage('11'),
  '-app, -other, -11, -b1, -c1, -a1',
);
test(
  'what an index contains stays while another index contains it',
  goes,
  [...built, artifact('b2', { contains: ['a1'] })],
  rmName('app'),
  '-app, -b1, -c1',
);
test('what another name points at stays', goes, [...built, named('att', 'a1')], rmName('app'), '-app, -b1, -c1');
test(
  'what stays keeps what it holds',
  goes,
  [...built, artifact('d1', { subject: 'c1' }), named('sig', 'c1')],
  rmName('app'),
  '-app, -b1, -a1',
);

const several = [
  ...image('11', '21'),
  ...image('12', '22'),
  artifact('a1', { subject: '21' }),
  artifact('a2', { subject: '22' }),
  artifact('b1', { contains: ['21', '22', 'a1'] }),
  named('app', 'b1', ['11', '12']),
];

test('an image of several keeps its index, and what that contains', goes, several, rmImage('11'), 'app=12, -11');
test('an image of several takes along what only it held', goes, several, rmImage('12'), 'app=11, -12, -a2');
test('a name keeps what is about the manifests of images that stay', goes, several, rmName('app'), '-app, -b1');

const signed = [...image('11', '21'), artifact('a1', { subject: '21' }), artifact('a2', { subject: '11' })];

test('an image takes along what is about its manifest and its config', goes, signed, rmImage('11'), '-11, -a2, -a1');
test(
  'what is about what is about an image goes too',
  goes,
  [...signed, artifact('a3', { subject: 'a1' })],
  rmImage('11'),
  '-11, -a2, -a1, -a3',
);
test(
  'an artifact without name and subject stays when an image goes',
  goes,
  [...signed, artifact('a4')],
  rmImage('11'),
  '-11, -a2, -a1',
);
test(
  'an artifact whose subject is not there is held by nothing',
  goes,
  [artifact('a1', { subject: '99' })],
  remove('a1'),
  '-a1',
);
test(
  'a subject may come after what is about it',
  goes,
  [artifact('a1', { subject: '21' }), ...image('11', '21')],
  rmImage('11'),
  '-11, -a1',
);

test('an artifact that nothing holds is removed', goes, [artifact('a1')], remove('a1'), '-a1');
test('an unknown artifact is not', goes, [artifact('a1')], remove('a2'), 'ARTIFACT_NOT_FOUND');
test('one that a name holds is refused', goes, [artifact('a1'), named('x', 'a1')], remove('a1'), 'ARTIFACT_IN_USE');
test(
  'one that a name holds goes with it by force',
  goes,
  [artifact('a1'), named('x', 'a1')],
  remove('a1', true),
  '-x, -a1',
);
test(
  'one that an index contains is refused',
  goes,
  [artifact('a1'), artifact('b1', { contains: ['a1'] })],
  remove('a1'),
  'ARTIFACT_IN_USE',
);
test(
  'one that an index contains goes by force, and the index stays',
  goes,
  [artifact('a1'), artifact('b1', { contains: ['a1'] })],
  remove('a1', true),
  '-a1',
);
test('one about an image is refused', goes, signed, remove('a1'), 'ARTIFACT_IN_USE');
test('one about an image goes by force', goes, signed, remove('a1', true), '-a1');
test(
  'an index takes along what only it contains',
  goes,
  [artifact('a1'), artifact('b1', { contains: ['a1', '99'] })],
  remove('b1'),
  '-b1, -a1',
);
test(
  'one that is named by an artifact about it is removed with that',
  goes,
  [artifact('a1'), artifact('a2', { subject: 'a1' })],
  remove('a1'),
  '-a1, -a2',
);

const circle = [
  artifact('a1', { subject: 'a3' }),
  artifact('a2', { subject: 'a1' }),
  artifact('a3', { subject: 'a2' }),
];

test('a circle of subjects goes whole', goes, circle, remove('a2'), '-a2, -a3, -a1');
test(
  'a circle that a name holds goes with the name',
  goes,
  [...circle, named('x', 'a1')],
  rmName('x'),
  '-x, -a1, -a2, -a3',
);
test(
  'a circle that two names hold stays with one',
  goes,
  [...circle, named('x', 'a1'), named('y', 'a3')],
  rmName('x'),
  '-x',
);
test(
  'one of a circle that a name holds is refused',
  goes,
  [...circle, named('x', 'a1')],
  remove('a2'),
  'ARTIFACT_IN_USE',
);
test('an artifact about itself goes', goes, [artifact('a1', { subject: 'a1' })], remove('a1'), '-a1');
test('an index that contains itself goes', goes, [artifact('a1', { contains: ['a1'] })], remove('a1'), '-a1');

test('a chain of a hundred thousand goes without a deep stack', (t) => {
  const byte = (at: number): Digest => `sha256:${at.toString(16).padStart(64, '0')}` as Digest;
  const viewSet = createViews();
  const chain = Array.from({ length: 100_000 }, (_, at): EventBody => {
    const [artifactOf, subject] = [at + 1, at].map((each) => ({ digest: byte(each), size: 1, mediaType: 'm' }));
    return {
      type: 'ArtifactAdded',
      artifact: artifactOf as Descriptor,
      artifactType: '',
      subject,
      contains: [],
      blobs: [],
    };
  });
  viewSet.fold(eventsFrom(1, chain));
  const { events } = decideDeleteArtifact(byte(1), false)(new NotedState(viewSet.views, { holdsOf: () => 0 }));
  t.is(events.length, 100_000);
});

test('an image goes with more artifacts about it than a call has arguments', (t) => {
  const about = Array.from({ length: 130_000 }, (_, at): EventBody => {
    const own = `sha256:${(at + 1).toString(16).padStart(64, '0')}` as Digest;
    const described = { digest: own, size: 1, mediaType: 'm' };
    return { type: 'ArtifactAdded', artifact: described, artifactType: '', subject: of('21'), contains: [], blobs: [] };
  });
  const viewSet = createViews();
  viewSet.fold(eventsFrom(1, [...image('11', '21'), ...about]));
  t.is(rmImage('11')(new NotedState(viewSet.views, { holdsOf: () => 0 })).events.length, 130_001);
});

const platformOf = () => ({ os: 'linux', architecture: 'arm' });
const tagged = (source: string, overwrite = true): Decide<unknown> =>
  decideTag('new', source, { overwrite, platformOf });

test('an artifact is named by its digest', goes, [artifact('a1')], tagged(digest('a1')), 'new=a1');
test('a name of an artifact is copied', goes, [artifact('a1'), named('x', 'a1')], tagged('x'), 'new=a1');
test('an index is named by its digest, and stands for its images', goes, built, tagged(digest('b1')), 'new=11');
test(
  'a nested index stands for the images below it',
  goes,
  [...built, artifact('e1', { contains: ['b1'] })],
  tagged(digest('e1')),
  'new=11',
);
test('a digest of nothing names nothing', goes, built, tagged(digest('99')), 'IMAGE_NOT_FOUND');
test('a name moves from an artifact to an image', goes, [...built, named('new', 'a1')], tagged(digest('11')), 'new=11');
test(
  'a name moves from an image to an artifact',
  goes,
  [...built, named('new', 'b1', ['11'])],
  tagged(digest('a1')),
  'new=a1',
);
test(
  'with overwrite false a name keeps its artifact',
  goes,
  [...built, named('new', 'a1')],
  tagged(digest('11'), false),
  'REFERENCE_EXISTS',
);
test(
  'with overwrite false a name keeps its image',
  goes,
  [...built, named('new', 'b1', ['11'])],
  tagged(digest('a1'), false),
  'REFERENCE_EXISTS',
);
test(
  'the same artifact again changes nothing',
  goes,
  [artifact('a1'), named('new', 'a1')],
  tagged(digest('a1'), false),
  '',
);

test('a name that moves says what it was: an artifact by its digest, an image by its id', (t) => {
  const eventOf = (before: EventBody, source: string): EventBody | undefined =>
    tagged(source)(new NotedState(viewsOf([...built, before]), { holdsOf: () => 0 })).events[0];
  t.like(eventOf(named('new', 'a1'), digest('11')), {
    image: digest('11'),
    previous: undefined,
    previousTarget: digest('a1'),
  });
  const { previousTarget, ...moved } = eventOf(named('new', 'b1', ['11']), digest('a1')) as EventBody & {
    previousTarget?: Digest;
  };
  t.is(previousTarget, undefined);
  t.like(moved, { image: undefined, target: of('a1'), previous: digest('11') });
  t.like(eventOf(named('new', 'a1'), digest('c1')), {
    previous: undefined,
    previousTarget: digest('a1'),
    target: of('c1'),
  });
});

/** Whether `second`, decided on the views before, must wait until the events of `first` are folded. */
function conflicts(bodies: readonly EventBody[], first: Decide<unknown>, second: Decide<unknown>): boolean {
  const views = viewsOf(bodies);
  const changed = new ChangedFacts(views);
  for (const event of first(new NotedState(views, { holdsOf: () => 0 })).events) changed.add(event);
  const state = new NotedState(views, { holdsOf: () => 0 });
  try {
    second(state);
  } catch (error) {
    if (!isStoreError(error)) throw error;
  }
  return state.looksAt(changed.facts);
}

test('a removal waits for what changes who holds the artifact', (t) => {
  const adds =
    (...events: readonly EventBody[]): Decide<unknown> =>
    () => ({ events, result: undefined });
  const bodies = [artifact('a1', { subject: '21' }), artifact('a2')];
  t.true(conflicts(bodies, adds(...image('11', '21')), remove('a1')));
  t.true(conflicts(bodies, adds(named('x', 'a1')), remove('a1')));
  t.true(conflicts(bodies, adds(artifact('b1', { contains: ['a1'] })), remove('a1')));
  t.true(conflicts(bodies, adds(artifact('21')), remove('a1')));
  t.true(conflicts(bodies, adds(artifact('c1', { subject: 'a1' })), remove('a1')));
  t.true(conflicts(bodies, remove('a1'), remove('a1')));
  t.true(conflicts(bodies, remove('a1'), tagged(digest('a1'))));
  t.false(conflicts(bodies, remove('a2'), remove('a1')));
  t.false(conflicts(bodies, adds(named('x', 'a2')), remove('a1')));
  t.true(conflicts(built, rmName('app'), remove('a1')));
  t.true(conflicts(built, untag('app'), remove('b1')));
  t.true(conflicts(signed, rmImage('11'), remove('a1')));
});
