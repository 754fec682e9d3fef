import type { ImageCreated, MetadataSet, ReferenceSet, StoredEvent } from '../../model/events.js';
import { familiarReference } from '../../model/reference.js';
import { shortId } from '../render/short-id.js';
import { sizeText } from '../render/size-text.js';
import { metadataText } from './event-json.js';

/** Returns what an event tells in a few words, for one cell of a table. Not yet made printable. */
export function eventSummary(event: StoredEvent): string {
  switch (event.type) {
    case 'ImageCreated':
      return imageCreated(event);
    case 'ImageDeleted':
      return shortId(event.image);
    case 'ParentSet':
      return `${shortId(event.image)} from ${shortId(event.parent)}${was(event.previous)}`;
    case 'ParentCleared':
      return `${shortId(event.image)} no longer from ${shortId(event.parent)}`;
    case 'MetadataSet':
      return metadataSet(event);
    case 'MetadataCleared':
      return `${shortId(event.image)} ${event.key}`;
    case 'ReferenceSet':
      return referenceSet(event);
    case 'ReferenceRemoved':
      return `${familiarReference(event.reference)} was ${shortId(event.image)}`;
    case 'ManifestAdded':
      return `${shortId(event.image)} manifest ${shortId(event.manifest.digest)}`;
    case 'LayerAdded':
    case 'LayerRemoved':
      return `${shortId(event.diffId)} ${sizeText(event.diffSize)}`;
    case 'ContentErased':
      return `${shortId(event.digest)} ${sizeText(event.size)}`;
  }
}

function imageCreated({ image, os, architecture, variant }: ImageCreated): string {
  const platform = [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
  return platform === '' ? shortId(image) : `${shortId(image)} ${platform}`;
}

function metadataSet({ image, key, value }: MetadataSet): string {
  const text = metadataText(value) ?? sizeText(value.length);
  return `${shortId(image)} ${key} = ${text}`;
}

function referenceSet({ reference, image, previous, platforms }: ReferenceSet): string {
  const many = platforms === undefined || platforms.length < 2 ? '' : ` and ${platforms.length - 1} more`;
  const before = previous === image ? ', as before' : was(previous);
  return `${familiarReference(reference)} → ${shortId(image)}${many}${before}`;
}

function was(previous: Parameters<typeof shortId>[0] | undefined): string {
  return previous === undefined ? '' : `, was ${shortId(previous)}`;
}
