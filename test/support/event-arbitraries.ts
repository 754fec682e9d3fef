import fc from 'fast-check';
import { bytesToHex, type Descriptor, type Digest } from '../../src/model/digest.js';
import {
  type EventBody,
  type PlatformImage,
  type ReferenceSet,
  routeOf,
  type StoredEvent,
} from '../../src/model/events.js';

/** Any SHA-256 digest, branded as the caller's field has it. */
export function anyDigest<Id extends Digest>(): fc.Arbitrary<Id> {
  return fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => `sha256:${bytesToHex(hash)}` as Digest as Id);
}

/** A value or its absence, as the optional fields of events have it. */
function orAbsent<Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const text = fc.string({ unit: 'binary', maxLength: 80 });
const size = fc.oneof(fc.nat(), fc.maxSafeNat());
/** What an event of each type tells: one arbitrary for each. */
export type BodyArbitraries = {
  readonly [Type in EventBody['type']]: fc.Arbitrary<Extract<EventBody, { type: Type }>>;
};

/** Bodies whose digests are drawn from `digest`, and whose references and metadata keys are drawn from `name`. */
export function bodiesOver(digest: fc.Arbitrary<never>, name: fc.Arbitrary<string>): BodyArbitraries {
  const descriptor: fc.Arbitrary<Descriptor> = fc.record({ digest, size, mediaType: text });
  const platform: fc.Arbitrary<PlatformImage> = fc.record({
    image: digest,
    os: text,
    architecture: text,
    variant: orAbsent(text),
  });
  const layer = {
    chainId: digest,
    diffId: digest,
    parent: orAbsent(digest),
    size,
    diffSize: size,
    blob: descriptor,
  };

  return {
    ImageCreated: fc.record({
      type: fc.constant('ImageCreated'),
      image: digest,
      size,
      chainId: orAbsent(digest),
      os: text,
      architecture: text,
      variant: orAbsent(text),
      created: orAbsent(text),
    }),
    ImageDeleted: fc.record({
      type: fc.constant('ImageDeleted'),
      image: digest,
      parent: orAbsent(digest),
      chainId: orAbsent(digest),
    }),
    ParentSet: fc.record({ type: fc.constant('ParentSet'), image: digest, parent: digest, previous: orAbsent(digest) }),
    ParentCleared: fc.record({ type: fc.constant('ParentCleared'), image: digest, parent: digest }),
    MetadataSet: fc.record({
      type: fc.constant('MetadataSet'),
      image: digest,
      key: name,
      value: fc.uint8Array({ maxLength: 300 }),
    }),
    MetadataCleared: fc.record({ type: fc.constant('MetadataCleared'), image: digest, key: name }),
    ...referenceBodies({ digest, name, descriptor, platform }),
    ManifestAdded: fc.record({
      type: fc.constant('ManifestAdded'),
      image: digest,
      manifest: descriptor,
      layers: fc.array(descriptor, { maxLength: 4 }),
    }),
    LayerAdded: fc.record({ type: fc.constant('LayerAdded'), ...layer }),
    LayerRemoved: fc.record({ type: fc.constant('LayerRemoved'), ...layer }),
    ContentErased: fc.record({ type: fc.constant('ContentErased'), digest, size }),
    ...artifactBodies(descriptor),
  };
}

interface Parts {
  readonly digest: fc.Arbitrary<never>;
  readonly name: fc.Arbitrary<string>;
  readonly descriptor: fc.Arbitrary<Descriptor>;
  readonly platform: fc.Arbitrary<PlatformImage>;
}

function referenceBodies(parts: Parts): Pick<BodyArbitraries, 'ReferenceSet' | 'ReferenceRemoved'> {
  const { digest, name, platform } = parts;
  return {
    ReferenceSet: fc
      .record({
        type: fc.constant('ReferenceSet'),
        reference: name,
        image: digest,
        previous: orAbsent(digest),
        target: orAbsent(parts.descriptor),
        platforms: orAbsent(fc.array(platform, { maxLength: 4 })),
        previousPlatforms: orAbsent(fc.array(platform, { maxLength: 4 })),
      })
      .chain((event) => withLaterFields(event, parts)),
    ReferenceRemoved: fc.oneof(
      fc.record({
        type: fc.constant('ReferenceRemoved'),
        reference: name,
        image: digest,
        platforms: orAbsent(fc.array(platform, { maxLength: 4 })),
      }),
      fc.record({
        type: fc.constant('ReferenceRemoved'),
        reference: name,
        image: orAbsent(digest),
        platforms: orAbsent(fc.array(platform, { maxLength: 4 })),
        target: digest,
      }),
    ),
  };
}

const texts = fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true });

/** The same without an image, and with fields that older records lack: absent, not undefined. */
function withLaterFields(event: ReferenceSet, { digest, descriptor }: Parts): fc.Arbitrary<ReferenceSet> {
  const later = {
    image: fc.constant(undefined),
    target: descriptor,
    annotations: texts,
    layoutAnnotations: texts,
    previousTarget: digest,
  };
  return fc.record(later, { requiredKeys: [] }).map((fields) => {
    const pointsAtNothing = 'image' in fields && !('target' in fields) && event.target === undefined;
    return pointsAtNothing ? event : { ...event, ...fields };
  });
}

function artifactBodies(
  descriptor: fc.Arbitrary<Descriptor>,
): Pick<BodyArbitraries, 'ArtifactAdded' | 'ArtifactRemoved'> {
  return {
    ArtifactAdded: fc.record({
      type: fc.constant('ArtifactAdded'),
      artifact: descriptor,
      artifactType: text,
      subject: orAbsent(descriptor),
      contains: fc.array(descriptor, { maxLength: 4 }),
      blobs: fc.array(descriptor, { maxLength: 4 }),
    }),
    ArtifactRemoved: fc.record({
      type: fc.constant('ArtifactRemoved'),
      artifact: descriptor,
      subject: orAbsent(descriptor),
      blobs: fc.array(descriptor, { maxLength: 4 }),
    }),
  };
}

/** Bodies of any kind. */
export const bodyArbitraries = bodiesOver(anyDigest<never>(), text);

const hex = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length / 2, maxLength: length / 2 }).map(bytesToHex);

/** Of W3C Trace Context, or anything. */
const traceparent = orAbsent(
  fc.oneof(
    text,
    fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((parts) => parts.join('-')),
  ),
);

const envelope = fc
  .record({
    first: fc.integer({ min: 1, max: 2 ** 50 }),
    before: fc.nat({ max: 1_000 }),
    after: fc.integer({ min: 1, max: 1_000 }),
    time: fc.maxSafeNat(),
    clock: fc.option(fc.nat({ max: 2 ** 30 })),
    actor: text,
    reason: orAbsent(text),
    requestId: orAbsent(text),
    // As often absent: it decides the format of the record.
    route: fc.option(fc.record({ via: orAbsent(text), address: orAbsent(text), agent: orAbsent(text), traceparent }), {
      freq: 2,
    }),
  })
  .map(({ first, before, after, clock, route, ...rest }) => ({
    ...rest,
    ...(route === null ? {} : routeOf(route)),
    // Absent and not undefined, as in a decoded event.
    ...(clock === null || clock >= rest.time ? {} : { clock }),
    seq: first + before,
    transaction: { first, count: before + after },
  }));

/** A whole event whose body is one of `bodies`. */
export function anyEvent(
  bodies: fc.Arbitrary<EventBody> = fc.oneof(...Object.values(bodyArbitraries)),
): fc.Arbitrary<StoredEvent> {
  return fc.tuple(envelope, bodies).map(([facts, body]) => ({ ...facts, ...body }));
}
