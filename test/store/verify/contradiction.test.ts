import test from 'ava';
import { createViews } from '../../../projections/views.js';
import { type ChainId, type DiffId, digestOf } from '../../../src/model/digest.js';
import type { EventBody, LayerFacts, StoredEvent } from '../../../src/model/events.js';
import type { Descriptor } from '../../../src/model/digest.js';
import { contradictionOf } from '../../../src/store/verify/record-check.js';
import { idNamed } from '../../support/image-configs.js';
import { creationOf, eventsFrom } from '../../support/stored-event.js';
import { bytesOf } from '../../support/text-bytes.js';

const [A, B, C, NEVER] = [idNamed('a'), idNamed('b'), idNamed('c'), idNamed('never')];
const NAME = 'example.com/a:1';
const ARTIFACT_NAME = 'example.com/a:sig';

const chain = (name: string): ChainId => digestOf(bytesOf(name)) as ChainId;
const blob = (text: string): Descriptor => ({ digest: digestOf(bytesOf(text)), size: text.length, mediaType: 'tar' });
const layer = (name: string, parent?: ChainId, file = name): LayerFacts => ({
  chainId: chain(name),
  diffId: digestOf(bytesOf(name)) as DiffId,
  parent,
  size: 1,
  diffSize: 1,
  blob: blob(file),
});

const artifact = (name: string, more: { subject?: Descriptor; blobs?: readonly Descriptor[] } = {}) => ({
  artifact: blob(name),
  subject: blob('subject'),
  blobs: [blob('config')],
  ...more,
});

/** Two artifacts, one with a name; two layers, three images, of which b has the parent a, the reference and the upper layer. */
const before: readonly EventBody[] = [
  { type: 'LayerAdded', ...layer('low') },
  { type: 'LayerAdded', ...layer('high', chain('low')) },
  creationOf('a'),
  { ...creationOf('b'), chainId: chain('high') } as EventBody,
  creationOf('c'),
  { type: 'ParentSet', image: B, parent: A },
  { type: 'ReferenceSet', reference: NAME, image: B },
  { type: 'MetadataSet', image: C, key: 'k', value: Uint8Array.of(1) },
  { type: 'ArtifactAdded', ...artifact('named'), artifactType: 't', contains: [] },
  { type: 'ArtifactAdded', ...artifact('free'), artifactType: 't', contains: [] },
  { type: 'ReferenceSet', reference: ARTIFACT_NAME, target: blob('named') },
];

function contradiction(body: EventBody): string | undefined {
  const viewSet = createViews();
  viewSet.fold(eventsFrom(1, before));
  const [event] = eventsFrom(before.length + 1, [body]);
  return contradictionOf(viewSet.views, event as StoredEvent);
}

const fits = test.macro((t, body: EventBody) => t.is(contradiction(body), undefined));
const contradicts = test.macro((t, body: EventBody, words: RegExp) => t.regex(contradiction(body) ?? '', words));

test('what the events before say is not a contradiction in itself', (t) => {
  const viewSet = createViews();
  for (const event of eventsFrom(1, before)) {
    t.is(contradictionOf(viewSet.views, event), undefined);
    viewSet.fold([event]);
  }
});

test('an image is created', fits, creationOf('d'));
test('an image is created again', contradicts, creationOf('a'), /creates the image .* which is there/);
test('an image is deleted', fits, { type: 'ImageDeleted', image: C });
test('an image is deleted that is not there', contradicts, { type: 'ImageDeleted', image: NEVER }, /is not there/);
test('an image is deleted that has children', contradicts, { type: 'ImageDeleted', image: A }, /still has children/);
test(
  'an image is deleted that has references',
  contradicts,
  { type: 'ImageDeleted', image: B },
  /still has references/,
);
test('an image is deleted with a parent', contradicts, { type: 'ImageDeleted', image: C, parent: A }, /the parent is/);
test(
  'an image is deleted with a chain',
  contradicts,
  { type: 'ImageDeleted', image: C, chainId: chain('low') },
  /the chain is/,
);
test('a parent is set', fits, { type: 'ParentSet', image: C, parent: B });
test('a parent is moved', fits, { type: 'ParentSet', image: B, parent: C, previous: A });
test('a parent is set on an absent image', contradicts, { type: 'ParentSet', image: NEVER, parent: B }, /is not there/);
test('an absent parent is set', contradicts, { type: 'ParentSet', image: C, parent: NEVER }, /is not there/);
test(
  'a parent is moved without its previous one',
  contradicts,
  { type: 'ParentSet', image: B, parent: C },
  /the parent before is none/,
);
test('a parent is cleared', fits, { type: 'ParentCleared', image: B, parent: A });
test('another parent is cleared', contradicts, { type: 'ParentCleared', image: B, parent: C }, /the parent is/);
test('metadata is set', fits, { type: 'MetadataSet', image: A, key: 'k', value: Uint8Array.of(1) });
test(
  'metadata is set on an absent image',
  contradicts,
  { type: 'MetadataSet', image: NEVER, key: 'k', value: Uint8Array.of(1) },
  /is not there/,
);
test('metadata is cleared', fits, { type: 'MetadataCleared', image: C, key: 'k' });
test('absent metadata is cleared', contradicts, { type: 'MetadataCleared', image: A, key: 'k' }, /which has none/);
test('a reference is moved', fits, { type: 'ReferenceSet', reference: NAME, image: C, previous: B });
test(
  'a reference is moved without its previous target',
  contradicts,
  { type: 'ReferenceSet', reference: NAME, image: C },
  /image before/,
);
test(
  'a reference is set to an absent image',
  contradicts,
  { type: 'ReferenceSet', reference: 'x/y:1', image: NEVER },
  /is not there/,
);
test(
  'a reference has the platform of an absent image',
  contradicts,
  {
    type: 'ReferenceSet',
    reference: 'x/y:1',
    image: A,
    platforms: [{ image: NEVER, os: 'linux', architecture: 'arm64' }],
  },
  /is not there/,
);
test(
  'a reference had platforms that it had not',
  contradicts,
  {
    type: 'ReferenceSet',
    reference: NAME,
    image: A,
    previous: B,
    previousPlatforms: [{ image: B, os: 'linux', architecture: 'arm64' }],
  },
  /the list of platforms before/,
);
const labelled = (variant?: string): EventBody => ({
  type: 'ReferenceSet',
  reference: 'x/y:1',
  image: A,
  platforms: [{ image: A, os: 'linux', architecture: 'arm', variant }],
});
test('platforms before that differ in a label alone are another target', (t) => {
  const viewSet = createViews();
  viewSet.fold(eventsFrom(1, [creationOf('a'), labelled('v7')]));
  const said = (variant?: string): (string | undefined)[] => {
    const platforms = [{ image: A, os: 'linux', architecture: 'arm', variant }];
    const [set, removed] = eventsFrom(3, [
      { ...labelled(), previous: A, previousPlatforms: platforms } as EventBody,
      { type: 'ReferenceRemoved', reference: 'x/y:1', image: A, platforms },
    ]) as [StoredEvent, StoredEvent];
    return [contradictionOf(viewSet.views, set), contradictionOf(viewSet.views, removed)];
  };
  t.deepEqual(said('v7'), [undefined, undefined]);
  for (const variant of ['v6', '', undefined]) {
    const [set = '', removed = ''] = said(variant);
    t.regex(set, /^says that the list of platforms before is .*for "linux\/arm.*, and it is .*for "linux\/arm\/v7"$/);
    t.regex(removed, /^says that the list of platforms of the reference is .*for "linux\/arm\/v7"$/);
  }
});
test('a reference is removed', fits, { type: 'ReferenceRemoved', reference: NAME, image: B });
test('another reference is removed', contradicts, { type: 'ReferenceRemoved', reference: NAME, image: A }, /image of/);
test('a manifest is added', fits, { type: 'ManifestAdded', image: A, manifest: blob('m'), layers: [] });
test(
  'a manifest is added to an absent image',
  contradicts,
  { type: 'ManifestAdded', image: NEVER, manifest: blob('m'), layers: [] },
  /is not there/,
);
test('a layer is added', fits, { type: 'LayerAdded', ...layer('top', chain('high')) });
test('a layer is added again', contradicts, { type: 'LayerAdded', ...layer('low') }, /which is there/);
test('a layer is added to nothing', contradicts, { type: 'LayerAdded', ...layer('x', chain('y')) }, /on top of/);
test('an absent layer is removed', contradicts, { type: 'LayerRemoved', ...layer('x') }, /which is not there/);
test(
  'a layer is removed under others',
  contradicts,
  { type: 'LayerRemoved', ...layer('low') },
  /other layers are based on/,
);
test('a layer is removed under images', contradicts, { type: 'LayerRemoved', ...layer('high') }, /images need/);
test('content is erased', fits, { type: 'ContentErased', digest: NEVER, size: 3 });
test('the config of an image is erased', contradicts, { type: 'ContentErased', digest: A, size: 3 }, /in use/);
test(
  'a blob that a layer needs is erased',
  contradicts,
  { type: 'ContentErased', digest: blob('low').digest, size: 3 },
  /in use/,
);
test('an artifact is added', fits, { type: 'ArtifactAdded', ...artifact('new'), artifactType: '', contains: [] });
test(
  'an artifact is added again',
  contradicts,
  { type: 'ArtifactAdded', ...artifact('free'), artifactType: '', contains: [] },
  /adds the artifact .* which is there/,
);
test('an artifact is removed', fits, { type: 'ArtifactRemoved', ...artifact('free') });
test(
  'an artifact is removed that is not there',
  contradicts,
  { type: 'ArtifactRemoved', ...artifact('new') },
  /removes the artifact .* which is not there/,
);
test(
  'an artifact is removed that has references',
  contradicts,
  { type: 'ArtifactRemoved', ...artifact('named') },
  /still has references/,
);
test(
  'an artifact is removed with another subject',
  contradicts,
  { type: 'ArtifactRemoved', ...artifact('free', { subject: blob('other') }) },
  /its subject is/,
);
test(
  'an artifact is removed with other blobs',
  contradicts,
  { type: 'ArtifactRemoved', ...artifact('free', { blobs: [] }) },
  /the list of its blobs is/,
);
test(
  'the manifest of an artifact is erased',
  contradicts,
  { type: 'ContentErased', digest: blob('free').digest, size: 3 },
  /in use/,
);
test(
  'a blob that an artifact needs is erased',
  contradicts,
  { type: 'ContentErased', digest: blob('config').digest, size: 3 },
  /in use/,
);
test('a reference is set to an artifact', fits, { type: 'ReferenceSet', reference: 'r', target: blob('free') });
test(
  'a reference is set to an artifact that is not there',
  contradicts,
  { type: 'ReferenceSet', reference: 'r', target: blob('new') },
  /is about the artifact .* which is not there/,
);
test('a reference is moved from an artifact', fits, {
  type: 'ReferenceSet',
  reference: ARTIFACT_NAME,
  image: A,
  previousTarget: blob('named').digest,
});
test(
  'a reference is moved from another artifact',
  contradicts,
  { type: 'ReferenceSet', reference: ARTIFACT_NAME, image: A, previousTarget: blob('free').digest },
  /the artifact before/,
);
test(
  'a reference to an image is moved from an artifact',
  contradicts,
  { type: 'ReferenceSet', reference: NAME, image: A, previous: B, previousTarget: blob('free').digest },
  /the artifact before/,
);
test('a reference to an artifact is removed', fits, {
  type: 'ReferenceRemoved',
  reference: ARTIFACT_NAME,
  target: blob('named').digest,
});
test(
  'a reference to another artifact is removed',
  contradicts,
  { type: 'ReferenceRemoved', reference: ARTIFACT_NAME, target: blob('free').digest },
  /the artifact of the reference/,
);
