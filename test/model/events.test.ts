import test from 'ava';
import fc from 'fast-check';
import type { Descriptor, Digest } from '../../src/model/digest.js';
import type { ArtifactFacts, EventBody, EventType, LayerFacts } from '../../src/model/events.js';
import { eventFacts, eventTypes, factsOf } from '../../src/model/event-table.js';
import { bodyArbitraries } from '../support/event-arbitraries.js';

/** Digests that are no subject: of layer files and of what is in them, and what an index lists. */
const OF_LAYERS = ['diffId', 'blob', 'layers', 'blobs', 'contains'];

function digestsIn(value: unknown): string[] {
  if (typeof value === 'string') return /^sha256:[0-9a-f]{64}$/.test(value) ? [value] : [];
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([name, inner]) => (OF_LAYERS.includes(name) ? [] : digestsIn(inner)));
}

const isWhole = test.macro({
  exec(t, type: EventType) {
    fc.assert(
      fc.property(bodyArbitraries[type], (event: EventBody) => {
        const { images, chains, content } = factsOf(event);
        const known = new Set(
          [...images(event), ...chains(event), content(event)?.digest].filter((id) => id !== undefined),
        );
        t.deepEqual([...known].sort(), [...new Set(digestsIn(event))].sort());
      }),
      { numRuns: 60 },
    );
    t.pass();
  },
  title: (_, type) => `every digest in ${type} is a subject, a layer or content that the table says it names`,
});

for (const type of eventTypes) test(isWhole, type);

test('the number of each type in a record is its own, and stays', (t) => {
  const numbers = Object.entries(eventFacts).map(([type, { code }]) => `${code} ${type}`);
  t.deepEqual(numbers, [
    '1 ImageCreated',
    '2 ImageDeleted',
    '3 ParentSet',
    '4 ParentCleared',
    '5 MetadataSet',
    '6 MetadataCleared',
    '7 ReferenceSet',
    '8 ReferenceRemoved',
    '12 ManifestAdded',
    '9 LayerAdded',
    '10 LayerRemoved',
    '11 ContentErased',
    '13 ArtifactAdded',
    '14 ArtifactRemoved',
  ]);
});

/** One event of each type, each field with its own id. */
const samples: { readonly [Type in EventType]: Extract<EventBody, { readonly type: Type }> } = {
  ImageCreated: { type: 'ImageCreated', image: id('a'), chainId: id('c'), size: 5, os: 'linux', architecture: 'arm64' },
  ImageDeleted: { type: 'ImageDeleted', image: id('a'), parent: id('b'), chainId: id('c') },
  ParentSet: { type: 'ParentSet', image: id('a'), parent: id('b'), previous: id('d') },
  ParentCleared: { type: 'ParentCleared', image: id('a'), parent: id('b') },
  MetadataSet: { type: 'MetadataSet', image: id('a'), key: 'k', value: new Uint8Array(2) },
  MetadataCleared: { type: 'MetadataCleared', image: id('a'), key: 'k' },
  ReferenceSet: { type: 'ReferenceSet', reference: 'r', image: id('a'), previous: id('b'), target: descriptor('e') },
  ReferenceRemoved: { type: 'ReferenceRemoved', reference: 'r', image: id('a') },
  ManifestAdded: { type: 'ManifestAdded', image: id('a'), manifest: descriptor('e'), layers: [descriptor('f')] },
  LayerAdded: { type: 'LayerAdded', ...layer() },
  LayerRemoved: { type: 'LayerRemoved', ...layer() },
  ContentErased: { type: 'ContentErased', digest: id('e'), size: 7 },
  ArtifactAdded: { type: 'ArtifactAdded', ...artifact(), artifactType: 't', contains: [descriptor('c')] },
  ArtifactRemoved: { type: 'ArtifactRemoved', ...artifact() },
};

function id<Id extends Digest>(digit: string): Id {
  return `sha256:${digit.repeat(64)}` as Digest as Id;
}

function descriptor(digit: string): Descriptor {
  return { digest: id(digit), size: 9, mediaType: 'text' };
}

function layer(): LayerFacts {
  return { chainId: id('c'), parent: id('b'), diffId: id('d'), size: 3, diffSize: 2, blob: descriptor('f') };
}

function artifact(): ArtifactFacts {
  return { artifact: descriptor('a'), subject: descriptor('b'), blobs: [descriptor('f')] };
}

/** What the table says of a sample in one line: the first digits of ids. */
function told(type: EventType): string {
  const event = samples[type];
  const { effect, changes, content, blobs, erases } = factsOf(event);
  const digit = (digest: string): string => digest.replace(/^sha256:(.).*/, '$1');
  const named = content(event);
  return [
    `${type} ${effect}`,
    ...changes(event).map(([kind, key]) => `${kind} ${digit(key)}`),
    ...(named === undefined ? [] : [`names ${named.kind} ${digit(named.digest)}`]),
    ...blobs(event).map(({ digest }) => `needs ${digit(digest)}`),
    ...[erases(event)].flatMap((digest) => (digest === undefined ? [] : [`erases ${digit(digest)}`])),
  ].join(', ');
}

test('each type says what it changes, names and erases', (t) => {
  t.deepEqual(eventTypes.map(told), [
    'ImageCreated adds, image a, content a, uses c, names config a',
    'ImageDeleted removes, image a, metadata a, manifests a, parent a, children b, uses c',
    'ParentSet changes, parent a, children b, children d',
    'ParentCleared removes, parent a, children b',
    'MetadataSet changes, metadata a',
    'MetadataCleared removes, metadata a',
    'ReferenceSet changes, reference r, references a, references b, content e, target e, names manifest e',
    'ReferenceRemoved removes, reference r, references a',
    'LayerAdded adds, layer c, blob f, uses c, uses b, needs f',
    'LayerRemoved removes, layer c, blob f, uses c, uses b',
    'ContentErased removes, content e, blob e, erases e',
    'ManifestAdded adds, manifests a, content e, blob f, names manifest e, needs f',
    'ArtifactAdded adds, artifact a, about b, blob f, content a, indexes c, names artifact a, needs f',
    'ArtifactRemoved removes, artifact a, about b, blob f',
  ]);
});

test('a line of text names a layer by its chain id, in every type of event', (t) => {
  const show = { id: (digest: Digest) => digest, bytes: String, reference: String, value: String };
  for (const type of eventTypes) {
    fc.assert(
      fc.property(bodyArbitraries[type], (event: EventBody) => {
        const line = factsOf(event).summary(event, show);
        if (!('diffId' in event)) return;
        t.true(line.includes(event.chainId), line);
        t.false(line.includes(event.diffId), line);
      }),
      { numRuns: 20 },
    );
  }
  t.pass();
});
