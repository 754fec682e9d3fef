import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { ViewEncoder } from '../../../projections/projection.js';
import { SnapshotWriter } from '../../../projections/snapshot-writer.js';
import { storeProjections, type ViewName, type Views, viewNames } from '../../../projections/store-projections.js';

/** A digest of each view of the store, in hex: two of one view differ when it answers differently. */
export type ViewDigests = Readonly<Record<ViewName, string>>;

/** Returns what computes the digests of `views` as they are now: all that may change is copied before this returns. */
export function viewDigestsOf(views: Views): () => Promise<ViewDigests> {
  const encoders = viewNames.map((name) => [name, encoderOf(views, name)] as const);
  return async () => {
    const digests: Partial<Record<ViewName, string>> = {};
    for (const [name, encode] of encoders) digests[name] = await digestOfView(encode);
    return digests as ViewDigests;
  };
}

/** Returns the names of the views whose digests differ. */
export function differingViews(one: ViewDigests, other: ViewDigests): ViewName[] {
  return viewNames.filter((name) => one[name] !== other[name]);
}

function encoderOf<Name extends ViewName>(views: Views, name: Name): ViewEncoder {
  return storeProjections[name].encode(views[name]);
}

async function digestOfView(encode: ViewEncoder): Promise<string> {
  const hash = createHash('sha256');
  const out = new SnapshotWriter();
  for (const _ of encode(out)) {
    hash.update(out.take());
    await setImmediate();
  }
  for (const _ of out.tables()) hash.update(out.take());
  return hash.update(out.take()).digest('hex');
}
