import type { Digest } from '../src/model/digest.js';
import type { ContentErased, Envelope, StoredEvent } from '../src/model/events.js';
import type { StoredProjection } from './projection.js';
import { readRows, writeRows } from './snapshot-rows.js';

/** When, by whom and why something was erased. */
export interface Erasure extends Pick<Envelope, 'seq' | 'time' | 'actor' | 'reason'> {
  readonly digest: Digest;
  /** Bytes that were removed. */
  readonly size: number;
}

/** What was erased and did not come again, by digest, in the order of erasing. */
export type ErasuresView = Map<Digest, Erasure>;

export const erasuresProjection: StoredProjection<ErasuresView> = {
  name: 'erasures',
  version: 1,
  initial: () => new Map(),
  evolve(view, event) {
    if (event.type === 'ContentErased') {
      // The last erasure is the one to tell, in its place.
      view.delete(event.digest);
      view.set(event.digest, erasureOf(event));
    } else if (view.size > 0) {
      for (const digest of contentNamedBy(event)) view.delete(digest);
    }
    return view;
  },
  encode(view) {
    const erasures = [...view.values()];
    return (out) =>
      writeRows(out, erasures, ({ digest, seq, time, actor, reason, size }) => {
        out.digest(digest);
        out.uint(seq);
        out.uint(time);
        out.word(actor);
        out.optional(reason, (text) => out.word(text));
        out.uint(size);
      });
  },
  decode(input) {
    const view: ErasuresView = new Map();
    readRows(input, () => {
      const digest = input.digest();
      const [seq, time, actor] = [input.uint(), input.uint(), input.word()];
      const reason = input.optional(() => input.word());
      view.set(digest, { digest, seq, time, actor, reason, size: input.uint() });
    });
    return view;
  },
};

/** Returns what an event needs the bytes of: configs, manifests, indexes and layer blobs that are there from it on. */
function contentNamedBy(event: StoredEvent): readonly Digest[] {
  switch (event.type) {
    case 'ImageCreated':
      return [event.image];
    case 'ManifestAdded':
      return [event.manifest.digest, ...event.layers.map(({ digest }) => digest)];
    case 'ReferenceSet':
      return event.target === undefined ? [] : [event.target.digest];
    case 'LayerAdded':
      return [event.blob.digest];
    default:
      return [];
  }
}

function erasureOf({ digest, size, seq, time, actor, reason }: StoredEvent & ContentErased): Erasure {
  return { digest, size, seq, time, actor, reason };
}
