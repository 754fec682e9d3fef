import { type ChainId, type DiffId, hashFromDigest, type ImageId } from './digest.js';
import {
  type FieldReader,
  packDescriptor,
  packOptionalDescriptor,
  packOptionalDigest,
  packOptionalTexts,
  packTexts,
  readDescriptor,
} from './record-fields.js';
import {
  artifactChanges,
  artifactTypeText,
  type EventFacts,
  childrenOf,
  namedId,
  NO_FACTS,
  NONE,
  none,
  pointed,
  resolutionOf,
  targetFacts,
  usesOf,
  was,
} from './event-facts.js';
import type {
  Envelope,
  EventBody,
  EventType,
  LayerFacts,
  PlatformImage,
  ReferenceRemoved,
  ReferenceSet,
} from './events.js';

/*
 * The table `eventFacts`: everything about a type of event that does not depend on a view: its
 * fields in a record, its subjects, what it names and changes, its line of text. Records, index,
 * filters, conflicts of commands, diff, prune, verify, backups and the command line read it. A new
 * type is its interface and a case of EventBody in events.ts, and one entry here:
 *
 * + ImagePinned: {
 * +   ...NO_FACTS,
 * +   code: 15,
 * +   does: ['pin', 'image'],
 * +   read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
 * +     seq, time, transaction, actor, reason, requestId,
 * +     type: 'ImagePinned',
 * +     image: fields.digest<ImageId>('image'),
 * +   }),
 * +   write: ({ image }) => [hashFromDigest(image)],
 * +   images: ({ image }) => [image],
 * +   effect: 'adds',
 * +   changes: ({ image }) => [['pin', image]],
 * +   summary: ({ image }, show) => show.id(image),
 * + },
 *
 * and then its fold (projections/), the decision that makes it (src/store/commands/), and what
 * verify checks of it against the views (src/store/verify/record-check.ts).
 */

/** Facts of each type of event. */
export const eventFacts: { readonly [Type in EventType]: EventFacts<Extract<EventBody, { readonly type: Type }>> } = {
  ImageCreated: {
    ...NO_FACTS,
    code: 1,
    does: ['load', 'image'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ImageCreated',
      image: fields.digest<ImageId>('image'),
      size: fields.integer('size'),
      chainId: fields.optionalDigest<ChainId>('chainId'),
      os: fields.text('os'),
      architecture: fields.text('architecture'),
      variant: fields.optionalText('variant'),
      created: fields.optionalText('created'),
    }),
    write: ({ image, size, chainId, os, architecture, variant, created }) => [
      hashFromDigest(image),
      size,
      packOptionalDigest(chainId),
      os,
      architecture,
      variant ?? null,
      created ?? null,
    ],
    images: ({ image }) => [image],
    chains: ({ chainId }) => [chainId],
    content: ({ image, size }) => ({ digest: image, kind: 'config', size, image }),
    effect: 'adds',
    changes: ({ image, chainId }) => [['image', image], ['content', image], ...usesOf(chainId)],
    summary: ({ image, os, architecture, variant = '' }, show) => {
      const platform = [os, architecture, variant].filter((part) => part !== '').join('/');
      return platform === '' ? show.id(image) : `${show.id(image)} ${platform}`;
    },
  },
  ImageDeleted: {
    ...NO_FACTS,
    code: 2,
    does: ['rm', 'image'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ImageDeleted',
      image: fields.digest<ImageId>('image'),
      parent: fields.optionalDigest<ImageId>('parent'),
      chainId: fields.optionalDigest<ChainId>('chainId'),
    }),
    write: ({ image, parent, chainId }) => [
      hashFromDigest(image),
      packOptionalDigest(parent),
      packOptionalDigest(chainId),
    ],
    images: ({ image, parent }) => [image, parent],
    chains: ({ chainId }) => [chainId],
    effect: 'removes',
    changes: ({ image, parent, chainId }) => [
      ['image', image],
      ['metadata', image],
      ['manifests', image],
      ['parent', image],
      ...childrenOf(parent),
      ...usesOf(chainId),
    ],
    summary: ({ image }, show) => show.id(image),
  },
  ParentSet: {
    ...NO_FACTS,
    code: 3,
    does: ['set', 'parent'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ParentSet',
      image: fields.digest<ImageId>('image'),
      parent: fields.digest<ImageId>('parent'),
      previous: fields.optionalDigest<ImageId>('previous'),
    }),
    write: ({ image, parent, previous }) => [
      hashFromDigest(image),
      hashFromDigest(parent),
      packOptionalDigest(previous),
    ],
    images: ({ image, parent, previous }) => [image, parent, previous],
    effect: 'changes',
    changes: ({ image, parent, previous }) => [['parent', image], ...childrenOf(parent), ...childrenOf(previous)],
    summary: ({ image, parent, previous }, show) => `${show.id(image)} from ${show.id(parent)}${was(previous, show)}`,
  },
  ParentCleared: {
    ...NO_FACTS,
    code: 4,
    does: ['clear', 'parent'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ParentCleared',
      image: fields.digest<ImageId>('image'),
      parent: fields.digest<ImageId>('parent'),
    }),
    write: ({ image, parent }) => [hashFromDigest(image), hashFromDigest(parent)],
    images: ({ image, parent }) => [image, parent],
    effect: 'removes',
    changes: ({ image, parent }) => [['parent', image], ...childrenOf(parent)],
    summary: ({ image, parent }, show) => `${show.id(image)}${was(parent, show)}`,
  },
  MetadataSet: {
    ...NO_FACTS,
    code: 5,
    does: ['set', 'metadata value'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'MetadataSet',
      image: fields.digest<ImageId>('image'),
      key: fields.text('key'),
      value: new Uint8Array(fields.bytes('value')),
    }),
    write: ({ image, key, value }) => [hashFromDigest(image), key, value],
    images: ({ image }) => [image],
    effect: 'changes',
    changes: ({ image }) => [['metadata', image]],
    summary: ({ image, key, value }, show) => `${show.id(image)} ${key} = ${show.value(value)}`,
  },
  MetadataCleared: {
    ...NO_FACTS,
    code: 6,
    does: ['clear', 'metadata value'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'MetadataCleared',
      image: fields.digest<ImageId>('image'),
      key: fields.text('key'),
    }),
    write: ({ image, key }) => [hashFromDigest(image), key],
    images: ({ image }) => [image],
    effect: 'removes',
    changes: ({ image }) => [['metadata', image]],
    summary: ({ image, key }, show) => `${show.id(image)} ${key}`,
  },
  ReferenceSet: {
    ...NO_FACTS,
    code: 7,
    does: ['tag', 'tag'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => {
      const event: Envelope & ReferenceSet = {
        seq,
        time,
        transaction,
        actor,
        reason,
        requestId,
        type: 'ReferenceSet',
        reference: fields.text('reference'),
        image: fields.optionalDigest<ImageId>('image'),
        previous: fields.optionalDigest<ImageId>('previous'),
        target: fields.optionalDescriptor('target'),
        platforms: fields.optionalList('platforms', readPlatformImage),
        previousPlatforms: fields.optionalList('previousPlatforms', readPlatformImage),
      };
      if (event.image === undefined && event.target === undefined) throw fields.fault('target', 'is missing');
      return fields.hasMore ? { ...event, ...readLaterFields(fields) } : event;
    },
    write: (event) => [
      event.reference,
      packOptionalDigest(event.image),
      packOptionalDigest(event.previous),
      packOptionalDescriptor(event.target),
      packPlatforms(event.platforms),
      packPlatforms(event.previousPlatforms),
      ...packLaterFields(event),
    ],
    images: ({ image, previous, target, platforms, previousPlatforms, previousTarget }) => {
      const images = [image ?? namedId(target?.digest), previous, namedId(previousTarget)];
      return withPlatforms(images, platforms, previousPlatforms);
    },
    references: ({ reference }) => [reference],
    content: ({ target, platforms }) =>
      target && { digest: target.digest, kind: platforms === undefined ? 'manifest' : 'index', size: target.size },
    effect: 'changes',
    changes: ({ reference, image, previous, target, platforms, previousPlatforms }) => [
      ...resolutionOf(reference, withPlatforms([image, previous], platforms, previousPlatforms)),
      ...targetFacts(target),
    ],
    summary: ({ reference, image, previous, target, platforms = NONE, previousTarget }, show) => {
      const many = platforms.length < 2 ? '' : ` and ${platforms.length - 1} more`;
      const former = pointed(previous, previousTarget, show);
      const now = pointed(image, target?.digest, show);
      const isNew = previous === undefined && previousTarget === undefined;
      const before = isNew ? '' : former === now ? ' (as before)' : ` (was ${former})`;
      return `${show.reference(reference)} → ${now}${many}${before}`;
    },
  },
  ReferenceRemoved: {
    ...NO_FACTS,
    code: 8,
    does: ['untag', 'tag'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => {
      const event: Envelope & ReferenceRemoved = {
        seq,
        time,
        transaction,
        actor,
        reason,
        requestId,
        type: 'ReferenceRemoved',
        reference: fields.text('reference'),
        image: fields.optionalDigest<ImageId>('image'),
        platforms: fields.optionalList('platforms', readPlatformImage),
      };
      if (event.image !== undefined && !fields.hasMore) return event;
      return { ...event, target: fields.digest('target') };
    },
    write: ({ reference, image, platforms, target }) => [
      reference,
      packOptionalDigest(image),
      packPlatforms(platforms),
      ...(target === undefined ? [] : [hashFromDigest(target)]),
    ],
    images: ({ image, platforms, target }) => withPlatforms([image, namedId(target)], platforms),
    references: ({ reference }) => [reference],
    effect: 'removes',
    changes: ({ reference, image, platforms }) => resolutionOf(reference, withPlatforms([image], platforms)),
    summary: ({ reference, image, target }, show) =>
      `${show.reference(reference)} (was ${pointed(image, target, show)})`,
  },
  ManifestAdded: {
    ...NO_FACTS,
    code: 12,
    does: ['load', 'manifest'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ManifestAdded',
      image: fields.digest<ImageId>('image'),
      manifest: fields.descriptor('manifest'),
      layers: fields.list('layers', readDescriptor),
    }),
    write: ({ image, manifest, layers }) => [
      hashFromDigest(image),
      packDescriptor(manifest),
      layers.map(packDescriptor),
    ],
    images: ({ image }) => [image],
    content: ({ manifest: { digest, size }, image }) => ({ digest, kind: 'manifest', size, image }),
    blobs: ({ layers }) => layers,
    effect: 'adds',
    changes: ({ image, manifest, layers }) => [
      ['manifests', image],
      ['content', manifest.digest],
      ...layers.map(({ digest }) => ['blob', digest] as const),
    ],
    summary: ({ image, manifest }, show) => `${show.id(image)} manifest ${show.id(manifest.digest)}`,
  },
  LayerAdded: layerFacts({
    type: 'LayerAdded',
    code: 9,
    does: ['load', 'layer'],
    effect: 'adds',
    blobs: ({ blob }) => [blob],
  }),
  LayerRemoved: layerFacts({ type: 'LayerRemoved', code: 10, does: ['rm', 'layer'], effect: 'removes', blobs: none }),
  ContentErased: {
    ...NO_FACTS,
    code: 11,
    does: ['erase', 'blob'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ContentErased',
      digest: fields.digest('digest'),
      size: fields.integer('size'),
    }),
    write: ({ digest, size }) => [hashFromDigest(digest), size],
    images: ({ digest }) => [namedId(digest)],
    erases: ({ digest }) => digest,
    effect: 'removes',
    changes: ({ digest }) => [
      ['content', digest],
      ['blob', digest],
    ],
    summary: ({ digest, size }, show) => `${show.id(digest)} ${show.bytes(size)}`,
  },
  ArtifactAdded: {
    ...NO_FACTS,
    code: 13,
    does: ['load', 'artifact'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ArtifactAdded',
      artifact: fields.descriptor('artifact'),
      artifactType: fields.text('artifactType'),
      subject: fields.optionalDescriptor('subject'),
      contains: fields.list('contains', readDescriptor),
      blobs: fields.list('blobs', readDescriptor),
    }),
    write: ({ artifact, artifactType, subject, contains, blobs }) => [
      packDescriptor(artifact),
      artifactType,
      packOptionalDescriptor(subject),
      contains.map(packDescriptor),
      blobs.map(packDescriptor),
    ],
    images: ({ artifact, subject }) => [namedId(artifact.digest), namedId(subject?.digest)],
    content: ({ artifact: { digest, size } }) => ({ digest, kind: 'artifact', size }),
    blobs: ({ blobs }) => blobs,
    effect: 'adds',
    changes: (event) => [
      ...artifactChanges(event),
      ['content', event.artifact.digest],
      ...event.contains.map(({ digest }) => ['indexes', digest] as const),
    ],
    summary: (event, show) => {
      const { artifact, subject } = event;
      const about = subject === undefined ? '' : ` about ${show.id(subject.digest)}`;
      return `${show.id(artifact.digest)} ${artifactTypeText(event)}${about}`;
    },
  },
  ArtifactRemoved: {
    ...NO_FACTS,
    code: 14,
    does: ['rm', 'artifact'],
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type: 'ArtifactRemoved',
      artifact: fields.descriptor('artifact'),
      subject: fields.optionalDescriptor('subject'),
      blobs: fields.list('blobs', readDescriptor),
    }),
    write: ({ artifact, subject, blobs }) => [
      packDescriptor(artifact),
      packOptionalDescriptor(subject),
      blobs.map(packDescriptor),
    ],
    images: ({ artifact, subject }) => [namedId(artifact.digest), namedId(subject?.digest)],
    effect: 'removes',
    changes: artifactChanges,
    summary: ({ artifact }, show) => show.id(artifact.digest),
  },
};

type LaterReferenceFields = Pick<ReferenceSet, 'annotations' | 'layoutAnnotations' | 'previousTarget'>;

/** Packs fields that older records lack: those at the end that are absent are not written. */
function packLaterFields({ annotations, layoutAnnotations, previousTarget }: LaterReferenceFields): unknown[] {
  if (previousTarget !== undefined) {
    return [packOptionalTexts(annotations), packOptionalTexts(layoutAnnotations), hashFromDigest(previousTarget)];
  }
  if (layoutAnnotations !== undefined) return [packOptionalTexts(annotations), packTexts(layoutAnnotations)];
  return annotations === undefined ? [] : [packTexts(annotations)];
}

function readLaterFields(fields: FieldReader): LaterReferenceFields {
  const annotations = fields.optionalTexts('annotations');
  const layoutAnnotations = fields.hasMore ? fields.optionalTexts('layoutAnnotations') : undefined;
  return {
    ...(annotations === undefined ? {} : { annotations }),
    ...(layoutAnnotations === undefined ? {} : { layoutAnnotations }),
    ...(fields.hasMore ? { previousTarget: fields.digest('previousTarget') } : {}),
  };
}

/** Every type of event, by number. */
export const eventTypes = (Object.keys(eventFacts) as EventType[]).sort(
  (a, b) => eventFacts[a].code - eventFacts[b].code,
);

/** Returns the facts of an event's type. */
export function factsOf(event: EventBody): EventFacts<EventBody> {
  return eventFacts[event.type] as EventFacts<EventBody>;
}

function withPlatforms(
  images: (ImageId | undefined)[],
  platforms: readonly PlatformImage[] = NONE,
  previousPlatforms: readonly PlatformImage[] = NONE,
): readonly (ImageId | undefined)[] {
  for (const { image } of platforms) images.push(image);
  for (const { image } of previousPlatforms) images.push(image);
  return images;
}

function packPlatforms(platforms: readonly PlatformImage[] | undefined): unknown[] | null {
  return platforms === undefined ? null : platforms.map(packPlatformImage);
}

function packPlatformImage({ image, os, architecture, variant }: PlatformImage): unknown[] {
  return [hashFromDigest(image), os, architecture, variant ?? null];
}

function readPlatformImage(fields: FieldReader): PlatformImage {
  return {
    image: fields.digest<ImageId>('image'),
    os: fields.text('os'),
    architecture: fields.text('architecture'),
    variant: fields.optionalText('variant'),
  };
}

function layerFacts<Type extends string>({
  type,
  ...own
}: Pick<EventFacts<LayerFacts>, 'code' | 'does' | 'effect' | 'blobs'> & { readonly type: Type }): EventFacts<
  LayerFacts & { readonly type: Type }
> {
  return {
    ...NO_FACTS,
    ...own,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
      seq,
      time,
      transaction,
      actor,
      reason,
      requestId,
      type,
      chainId: fields.digest<ChainId>('chainId'),
      diffId: fields.digest<DiffId>('diffId'),
      parent: fields.optionalDigest<ChainId>('parent'),
      size: fields.integer('size'),
      diffSize: fields.integer('diffSize'),
      blob: fields.descriptor('blob'),
    }),
    write: ({ chainId, diffId, parent, size, diffSize, blob }) => [
      hashFromDigest(chainId),
      hashFromDigest(diffId),
      packOptionalDigest(parent),
      size,
      diffSize,
      packDescriptor(blob),
    ],
    chains: ({ chainId, parent }) => [chainId, parent],
    changes: ({ chainId, parent, blob }) => [
      ['layer', chainId],
      ['blob', blob.digest],
      ...usesOf(chainId),
      ...usesOf(parent),
    ],
    summary: ({ chainId, diffSize }, show) => `${show.id(chainId)} ${show.bytes(diffSize)}`,
  };
}

/** Whether events of `type` can be about such a subject. */
export function canBeAbout(type: EventType, kind: 'image' | 'reference' | 'chainId'): boolean {
  const { images, references, chains } = eventFacts[type];
  return { image: images, reference: references, chainId: chains }[kind] !== none;
}
