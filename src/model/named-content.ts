import type { Digest } from './digest.js';
import type { StoredEvent } from './events.js';

/** Returns the digest of the content that `event` names, and that became durable with it or was there before. */
export function namedContent(event: StoredEvent): Digest | undefined {
  switch (event.type) {
    case 'ImageCreated':
      return event.image;
    case 'ManifestAdded':
      return event.manifest.digest;
    case 'ReferenceSet':
      return event.target?.digest;
    default:
      return undefined;
  }
}
