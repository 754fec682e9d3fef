import type { ChainId, ImageId } from './digest.js';
import type { StoredEvent } from './events.js';

/** What an event is about: an image, a reference (canonical), a chain of layers, or the actor who did it. */
export type Subject =
  | { readonly image: ImageId }
  | { readonly reference: string }
  | { readonly chainId: ChainId }
  | { readonly actor: string };

/** The subjects of one event, by kind; none twice. */
export interface EventSubjects {
  readonly images: readonly ImageId[];
  readonly references: readonly string[];
  readonly chains: readonly ChainId[];
  readonly actor: string;
}

/**
 * Returns what `event` is about. Images are also those that a reference pointed at before, and parents; chains are also those
 * that a layer stands on.
 */
export function subjectsOf(event: StoredEvent): EventSubjects {
  const images: (ImageId | undefined)[] = [];
  const references: string[] = [];
  const chains: (ChainId | undefined)[] = [];
  switch (event.type) {
    case 'ImageCreated':
      images.push(event.image);
      chains.push(event.chainId);
      break;
    case 'ImageDeleted':
      images.push(event.image, event.parent);
      chains.push(event.chainId);
      break;
    case 'ParentSet':
      images.push(event.image, event.parent, event.previous);
      break;
    case 'ParentCleared':
      images.push(event.image, event.parent);
      break;
    case 'MetadataSet':
    case 'MetadataCleared':
    case 'ManifestAdded':
      images.push(event.image);
      break;
    case 'ReferenceSet':
      images.push(event.image, event.previous);
      for (const { image } of event.platforms ?? []) images.push(image);
      for (const { image } of event.previousPlatforms ?? []) images.push(image);
      references.push(event.reference);
      break;
    case 'ReferenceRemoved':
      images.push(event.image);
      for (const { image } of event.platforms ?? []) images.push(image);
      references.push(event.reference);
      break;
    case 'LayerAdded':
    case 'LayerRemoved':
      chains.push(event.chainId, event.parent);
      break;
    case 'ContentErased':
      // Of whatever kind the content was: a digest is looked up among images first.
      images.push(event.digest as ImageId);
      break;
  }
  return { images: distinct(images), references, chains: distinct(chains), actor: event.actor };
}

/** Whether `event` is about `subject`. */
export function isAbout(event: StoredEvent, subject: Subject): boolean {
  if ('actor' in subject) return event.actor === subject.actor;
  if ('reference' in subject) return 'reference' in event && event.reference === subject.reference;
  const { images, chains } = subjectsOf(event);
  return 'image' in subject ? images.includes(subject.image) : chains.includes(subject.chainId);
}

function distinct<Id>(ids: readonly (Id | undefined)[]): Id[] {
  const [first] = ids;
  if (ids.length < 2) return first === undefined ? [] : [first];
  return [...new Set(ids)].filter((id): id is Id & {} => id !== undefined);
}
