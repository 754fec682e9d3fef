import type { ViewEncoder } from './projection.js';
import { SnapshotReader } from './snapshot-reader.js';
import { SnapshotWriter } from './snapshot-writer.js';
import { storeProjections, type ViewName, type Views, viewNames } from './store-projections.js';

/** The version of every projection whose view a snapshot has. */
export const viewVersions: Readonly<Record<ViewName, number>> = Object.fromEntries(
  viewNames.map((name) => [name, storeProjections[name].version]),
) as Record<ViewName, number>;

/**
 * Gives `views` as they are now, in pieces, each made when it is asked for: some milliseconds of work. What may change is
 * copied before this returns, so that all are of one moment: about 0.2 microseconds an image.
 */
export function encodeViews(views: Views): Iterable<Uint8Array> {
  return piecesOf(viewNames.map((name) => encoderOf(views, name)));
}

function encoderOf<Name extends ViewName>(views: Views, name: Name): ViewEncoder {
  return storeProjections[name].encode(views[name]);
}

function* piecesOf(encoders: readonly ViewEncoder[]): Generator<Uint8Array> {
  const out = new SnapshotWriter();
  for (const encode of encoders) for (const _ of encode(out)) yield out.take();
  yield out.take();
}

/**
 * Returns the views that `encodeViews` gave, in new objects.
 * @throws {SnapshotDamage} when `bytes` are not that, or not all of it
 */
export function decodeViews(bytes: Uint8Array): Views {
  const input = new SnapshotReader(bytes);
  const views = Object.fromEntries(viewNames.map((name) => [name, storeProjections[name].decode(input)]));
  input.end();
  return views as unknown as Views;
}
