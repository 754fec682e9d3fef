import test from 'ava';
import fc from 'fast-check';
import { type EventBody, type EventType, eventFacts, eventTypes, factsOf } from '../../src/model/events.js';
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
        const known = new Set([...images(event), ...chains(event), content(event)].filter((id) => id !== undefined));
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
