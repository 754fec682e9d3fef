import type { LogPoint } from '../../log/log.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import type { LayerFacts, StoredEvent } from '../../model/events.js';
import { factsOf } from '../../model/event-table.js';
import { parentOf } from '../../../projections/images.js';
import { sameTarget } from '../../../projections/references.js';
import type { Page, StoredProjection } from '../../../projections/projection.js';
import { storeProjections, type Views } from '../../../projections/views.js';
import type { ArtifactEntry } from '../../../projections/artifacts.js';
import type { ReferenceEntry } from '../store.js';
import { equalBytes } from '../../model/bytes.js';

/** A changed value: `before` is absent if added, `after` if removed. */
export interface Change<Value> {
  readonly change: 'added' | 'removed' | 'changed';
  readonly before?: Value | undefined;
  readonly after?: Value | undefined;
  /** The last event that changed it. */
  readonly event: StoredEvent;
}

/** The differences between two points in time, each list in event order. */
export interface StoreDiff {
  readonly from: LogPoint;
  readonly to: LogPoint;
  readonly images: readonly (Change<ImageId> & { readonly image: ImageId })[];
  readonly references: readonly (Change<ReferenceEntry> & { readonly reference: string })[];
  readonly parents: readonly (Change<ImageId> & { readonly image: ImageId })[];
  readonly metadata: readonly (Change<Uint8Array> & { readonly image: ImageId; readonly key: string })[];
  readonly layers: readonly (Change<LayerFacts> & { readonly chainId: ChainId })[];
  readonly artifacts: readonly (Change<ArtifactEntry> & { readonly artifact: Digest })[];
}

/** The differences by events. */
export type StoreChanges = Omit<StoreDiff, 'from' | 'to'>;

/** The views of which a difference tells. */
const diffedNames = ['images', 'references', 'metadata', 'layers', 'artifacts'] as const;

type DiffedViews = { -readonly [Name in (typeof diffedNames)[number]]: Views[Name] };

/** Folds an event into the views of which a difference tells; it needs only those that it changes. */
function foldDiffed(views: DiffedViews, event: StoredEvent): void {
  const fold = <Name extends keyof DiffedViews>(name: Name): void => {
    const projection: StoredProjection<DiffedViews[Name]> = storeProjections[name];
    if (projection.folds.includes(event.type)) views[name] = projection.evolve(views[name], event);
  };
  for (const name of diffedNames) fold(name);
}

/** Returns `views` whose members can be replaced, each taken when it is first asked for. */
function diffedOf(views: Views): DiffedViews {
  const diffed = {} as DiffedViews;
  for (const name of diffedNames) {
    Object.defineProperty(diffed, name, {
      configurable: true,
      get: () => views[name],
      set: (value) => Object.defineProperty(diffed, name, { value, writable: true }),
    });
  }
  return diffed;
}

/**
 * Folds `pages` into `start`, which the caller owns, and returns the net changes. Costs the
 * events, not the store: only what they name is compared, and only views that they change are read.
 */
export async function diffViews(start: Views, pages: AsyncIterable<Page> | Iterable<Page>): Promise<StoreChanges> {
  const views = diffedOf(start);
  const images = new Touched<ImageId, ImageId>((id) => (views.images.has(id) ? id : undefined));
  const references = new Touched<string, ReferenceEntry>((name) => views.references.byName.get(name), sameTarget);
  const parents = new Touched<ImageId, ImageId>((id) => parentOf(views.images, id));
  const metadata = new Touched<MetadataKey, Uint8Array>((key) => metadataAt(views, key), equalBytes);
  const layers = new Touched<ChainId, LayerFacts>((chainId) => views.layers.byChain.get(chainId), sameLayer);
  const artifacts = new Touched<Digest, ArtifactEntry>(
    (digest) => views.artifacts.byDigest.get(digest),
    // The digest says what it is.
    () => true,
  );
  const touch = (event: StoredEvent): void => {
    for (const [kind, key] of factsOf(event).changes(event)) {
      if (kind === 'image') images.touch(key, event);
      else if (kind === 'parent') parents.touch(key, event);
      else if (kind === 'reference') references.touch(key, event);
      else if (kind === 'layer') layers.touch(key, event);
      else if (kind === 'artifact') artifacts.touch(key, event);
      else if (kind === 'metadata') {
        const names = 'key' in event ? [event.key] : (views.metadata.get(key)?.keys() ?? []);
        for (const name of names) metadata.touch(`${key} ${name}`, event);
      }
    }
  };
  for await (const page of pages) {
    for (const event of page) {
      // Record the old value before the fold changes it.
      touch(event);
      foldDiffed(views, event);
    }
  }
  return {
    images: images.changes((image) => ({ image })),
    references: references.changes((reference) => ({ reference })),
    parents: parents.changes((image) => ({ image })),
    metadata: metadata.changes(splitKey),
    layers: layers.changes((chainId) => ({ chainId })),
    artifacts: artifacts.changes((artifact) => ({ artifact })),
  };
}

/** Values of one kind that events touched: each before its first event, and its last event. */
class Touched<Key, Value> {
  readonly #read: (key: Key) => Value | undefined;
  readonly #isSame: (before: Value, after: Value) => boolean;
  readonly #first = new Map<Key, Value | undefined>();
  readonly #last = new Map<Key, StoredEvent>();

  constructor(read: (key: Key) => Value | undefined, isSame: (before: Value, after: Value) => boolean = Object.is) {
    this.#read = read;
    this.#isSame = isSame;
  }

  touch(key: Key, event: StoredEvent): void {
    if (!this.#first.has(key)) this.#first.set(key, this.#read(key));
    this.#last.set(key, event);
  }

  /** Returns the values that differ now, in event order. */
  changes<Named>(name: (key: Key) => Named): (Change<Value> & Named)[] {
    const changes: (Change<Value> & Named)[] = [];
    for (const [key, event] of this.#last) {
      const before = this.#first.get(key);
      const after = this.#read(key);
      if (before === undefined && after !== undefined) {
        changes.push({ ...name(key), change: 'added', before, after, event });
      } else if (before !== undefined && after === undefined) {
        changes.push({ ...name(key), change: 'removed', before, after, event });
      } else if (before !== undefined && after !== undefined && !this.#isSame(before, after)) {
        changes.push({ ...name(key), change: 'changed', before, after, event });
      }
    }
    return changes.sort((a, b) => a.event.seq - b.event.seq);
  }
}

/** An image and a metadata key; neither contains a space. */
type MetadataKey = `${ImageId} ${string}`;

function splitKey(key: MetadataKey): { readonly image: ImageId; readonly key: string } {
  const at = key.indexOf(' ');
  return { image: key.slice(0, at) as ImageId, key: key.slice(at + 1) };
}

function metadataAt(views: DiffedViews, at: MetadataKey): Uint8Array | undefined {
  const { image, key } = splitKey(at);
  return views.metadata.get(image)?.get(key);
}

function sameLayer(before: LayerFacts, after: LayerFacts): boolean {
  return before.size === after.size && before.diffSize === after.diffSize && before.blob.digest === after.blob.digest;
}
