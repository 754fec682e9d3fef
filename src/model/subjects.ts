import type { ChainId, Digest, ImageId } from './digest.js';
import { distinct } from './event-facts.js';
import type { StoredEvent } from './events.js';
import { factsOf } from './event-table.js';

/** What an event is about: an image, a (canonical) reference, a chain of layers, or its actor. */
export type Subject =
  | { readonly image: ImageId }
  | { readonly reference: string }
  | { readonly chainId: ChainId }
  | { readonly actor: string };

/** Subjects of an event, by kind, without duplicates. */
interface EventSubjects {
  readonly images: readonly ImageId[];
  readonly references: readonly string[];
  readonly chains: readonly ChainId[];
  readonly actor: string;
}

/** Returns the subjects of `event`, from the facts of its type. */
export function subjectsOf(event: StoredEvent): EventSubjects {
  const { images, references, chains } = factsOf(event);
  return {
    images: distinct(images(event)),
    references: references(event),
    chains: distinct(chains(event)),
    actor: event.actor,
  };
}

/** Whether `event` is about `subject`. */
export function isAbout(event: StoredEvent, subject: Subject): boolean {
  if ('actor' in subject) return event.actor === subject.actor;
  if ('reference' in subject) return factsOf(event).references(event).includes(subject.reference);
  const { images, chains } = subjectsOf(event);
  return 'image' in subject ? images.includes(subject.image) : chains.includes(subject.chainId);
}

/** Returns the digests of the configs, manifests, indexes and artifacts that an event names. */
export function contentsOf(event: StoredEvent): Digest[] {
  const { images } = subjectsOf(event);
  const target = event.type === 'ReferenceSet' ? event.target?.digest : undefined;
  const digests = [...images, factsOf(event).content(event)?.digest, target];
  return digests.filter((digest) => digest !== undefined);
}
