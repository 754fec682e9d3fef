import type { StoredEvent } from '../model/events.js';
import { familiarReference } from '../model/reference.js';
import type { Change, StoreDiff } from '../store/past/audit.js';
import type { ReferenceEntry } from '../store/store.js';
import { metadataFields, metadataText } from './events.js';
import { platformText } from './render/image-table.js';
import { shortId, sizeText } from './render/text.js';

/** What a change is about, in the order in which they are told. */
export const changeKinds = ['reference', 'image', 'parent', 'metadata', 'layer'] as const;

/** What something was or is: for a program, and in a word or two for a person. */
interface ChangeSide {
  readonly value: unknown;
  readonly text: string;
}

/** One thing that is not as it was. */
export interface StoreChange {
  readonly kind: (typeof changeKinds)[number];
  readonly change: Change<unknown>['change'];
  /** Names the thing among those of its kind: a reference, an image id, `<image id>/<metadata key>`, a chain id. */
  readonly key: string;
  /** The same for a person. */
  readonly name: string;
  readonly before?: ChangeSide | undefined;
  readonly after?: ChangeSide | undefined;
  /** The last event that changed it. */
  readonly event: StoredEvent;
}

/** Returns every change of `diff`, kind by kind, each kind in the order of the events. */
export function changesOf({ references, images, parents, metadata, layers }: StoreDiff): StoreChange[] {
  return [
    ...references.map((change) =>
      told('reference', change, change.reference, familiarReference(change.reference), referenceSide),
    ),
    ...images.map((change) => {
      const { event } = change;
      const platform = event.type === 'ImageCreated' ? platformText({ ...event, variant: event.variant ?? null }) : '';
      return told('image', change, change.image, shortId(change.image), (value) => ({ value, text: platform }));
    }),
    ...parents.map((change) =>
      told('parent', change, change.image, shortId(change.image), (value) => ({ value, text: shortId(value) })),
    ),
    ...metadata.map((change) =>
      told('metadata', change, `${change.image}/${change.key}`, `${shortId(change.image)} ${change.key}`, (bytes) => ({
        value: metadataFields(bytes),
        text: metadataText(bytes) ?? sizeText(bytes.length),
      })),
    ),
    ...layers.map((change) =>
      told('layer', change, change.chainId, shortId(change.chainId), ({ diffId, size, diffSize }) => ({
        value: { diffId, size, diffSize },
        text: sizeText(diffSize),
      })),
    ),
  ];
}

function told<Value>(
  kind: StoreChange['kind'],
  { change, before, after, event }: Change<Value>,
  key: string,
  name: string,
  sideOf: (value: Value) => ChangeSide,
): StoreChange {
  const side = (value: Value | undefined): ChangeSide | undefined => (value === undefined ? undefined : sideOf(value));
  return { kind, change, key, name, before: side(before), after: side(after), event };
}

function referenceSide({ image, target, platforms }: ReferenceEntry): ChangeSide {
  const others = platforms === undefined || platforms.length < 2 ? '' : ` +${platforms.length - 1}`;
  return {
    value: { image, target: target?.digest ?? null, platforms: platforms ?? null },
    text: `${shortId(image)}${others}`,
  };
}
