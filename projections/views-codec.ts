import { type EncodedViews, storeProjections, type ViewName, viewNames, type Views } from './views.js';
import { encodeSections, openSections, type ViewEncoder } from './snapshot-format.js';

/** Version of every projection in a snapshot. */
export const viewVersions: Readonly<Record<ViewName, number>> = Object.fromEntries(
  viewNames.map((name) => [name, storeProjections[name].version]),
) as Record<ViewName, number>;

/**
 * Encodes `views` lazily, in pieces of some milliseconds of work. Copies mutable state before it
 * returns, so that all views are of one moment: about 0.2 microseconds per image.
 */
export function encodeViews(views: Views): Iterable<Uint8Array> {
  return encodeSections(viewNames.map((name) => encoderOf(views, name)));
}

function encoderOf<Name extends ViewName>(views: Views, name: Name): ViewEncoder {
  return storeProjections[name].encode(views[name]);
}

/**
 * Opens the output of `encodeViews`, to fold `more` events in. Keeps `bytes`, which must not change.
 * @throws {SnapshotDamage} when they are malformed
 */
export function openViews(bytes: Uint8Array, more = 0): EncodedViews {
  const sections = openSections(bytes, viewNames);
  return {
    decode(name) {
      const input = sections.read(name);
      const view = storeProjections[name].decode(input, more);
      input.end();
      return view;
    },
  };
}

/**
 * Decodes all views into new objects, to fold `more` events in.
 * @throws {SnapshotDamage} when `bytes` are malformed
 */
export function decodeViews(bytes: Uint8Array, more = 0): Views {
  const encoded = openViews(bytes, more);
  const views = Object.fromEntries(viewNames.map((name) => [name, encoded.decode(name)])) as unknown as Views;
  // All that is malformed is found now.
  views.images.indexChains();
  return views;
}
