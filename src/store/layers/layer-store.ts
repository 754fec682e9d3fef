import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type ChainId, type DiffId, type Digest, digestFromHash, type ImageId } from '../../model/digest.js';
import { type Command, type Origin, originOf, type Writer } from '../writer.js';
import { type Decide, type HoldCounts, unchanged } from '../commands/decision.js';
import {
  type Layer,
  type LayerGetReleaser,
  type LayerMetadata,
  type LayerStore,
  type WriteOptions,
  writeOptionNames,
} from '../store.js';
import { mustBeOptions } from '../argument-types.js';
import { isStoreError, StoreError } from '../../errors.js';
import type { LayerFacts } from '../../model/events.js';
import type { Views } from '../../../projections/views.js';
import { decompress } from '../../compression/decompress.js';
import { LayerMeter, requireLayer } from '../../archive/layer-meter.js';
import { type BlobStore, byteChunks, type StagedBlob } from './blob-store.js';
import { chainOnTop, decideRegister, decideRelease, layerNotFound, type NewLayer } from '../commands/layers.js';

/** Counts holds per chain, and tracks chains being removed. Holds end with this process. */
export class LayerHolds implements HoldCounts {
  readonly #counts = new Map<ChainId, number>();
  readonly #going = new Set<ChainId>();

  holdsOf(chainId: ChainId): number {
    return this.#counts.get(chainId) ?? 0;
  }

  add(chainId: ChainId): void {
    this.#counts.set(chainId, this.holdsOf(chainId) + 1);
  }

  /** Whether a command that is not yet durable removes the layer: no new holds are then allowed. */
  isGoing(chainId: ChainId): boolean {
    return this.#going.has(chainId);
  }

  /** Returns callbacks for a command whose result is the layers that it removes. */
  removal(): Pick<Command<readonly LayerMetadata[]>, 'accepted' | 'committed' | 'withdrawn'> {
    let chains: readonly ChainId[] = [];
    const settled = (): void => {
      for (const chainId of chains) this.#going.delete(chainId);
    };
    return {
      accepted: (removed) => {
        chains = removed.map(({ chainId }) => chainId);
        for (const chainId of chains) this.#going.add(chainId);
      },
      committed: settled,
      withdrawn: settled,
    };
  }

  drop(chainId: ChainId): void {
    const left = this.holdsOf(chainId) - 1;
    if (left > 0) this.#counts.set(chainId, left);
    else this.#counts.delete(chainId);
  }
}

/** An image that a command may create, and the chain that it then holds. */
interface HoldingImage {
  readonly id: ImageId;
  readonly chainId: ChainId;
}

/** Outcome of a decision: its own result, or the images that it cannot create without holds. */
export type HoldingAnswer<Result> = { readonly result: Result } | { readonly lacking: readonly HoldingImage[] };

/** Submits a command whose decision is first wrapped by `holding`. */
type Submit<Result> = (
  holding: (decide: Decide<Result>) => Decide<HoldingAnswer<Result>>,
) => Promise<HoldingAnswer<Result>>;

/** Holds in an external layer store: one per image with layers, as Docker's image store does. */
export class HeldLayers {
  readonly #layers: LayerGetReleaser;
  readonly #held = new Map<ImageId, Layer>();

  constructor(layers: LayerGetReleaser) {
    this.#layers = layers;
  }

  /**
   * Takes a hold on a chain, not yet for an image.
   * @throws {StoreError} LAYER_MISSING, with the layer store's error as its cause
   */
  async #take(chainId: ChainId): Promise<Layer> {
    try {
      return await this.#layers.get(chainId);
    } catch (cause) {
      const message = `the image needs the layer ${chainId}, which the layer store does not give`;
      throw new StoreError('LAYER_MISSING', message, { cause, data: { chainId } });
    }
  }

  /** Takes the image's hold on a chain; false when the layer store lacks it. */
  async tryTake(id: ImageId, chainId: ChainId): Promise<boolean> {
    try {
      this.#held.set(id, await this.#take(chainId));
      return true;
    } catch (error) {
      if (isStoreError(error, 'LAYER_MISSING')) return false;
      throw error;
    }
  }

  /**
   * Submits a command that may create `images`, with a hold on the chain of each that it does
   * create. Afterwards each hold belongs to its image, or is released when no image needs it, even
   * if the command's outcome is unknown but its images exist.
   * @throws {StoreError} LAYER_MISSING, and what `submit` throws
   */
  async around<Result>(
    images: readonly HoldingImage[],
    hasImage: (id: ImageId) => boolean,
    submit: Submit<Result>,
  ): Promise<Result> {
    const taken = new Map<ImageId, Layer>();
    let result: Result;
    try {
      result = await this.#submitHolding(images, taken, submit);
    } catch (error) {
      // Report the command's own error.
      await this.#settle(taken, hasImage).catch(() => undefined);
      throw error;
    }
    await this.#settle(taken, hasImage);
    return result;
  }

  // Only the decision sees which images it creates, after queued deletions; it asks for holds.
  async #submitHolding<Result>(
    images: readonly HoldingImage[],
    taken: Map<ImageId, Layer>,
    submit: Submit<Result>,
  ): Promise<Result> {
    for (;;) {
      const answer = await submit((decide) => decideHolding(images, taken, decide));
      if ('result' in answer) return answer.result;
      for (const { id, chainId } of answer.lacking) taken.set(id, await this.#take(chainId));
    }
  }

  // First the images' holds, in one turn with the views; releasing the others may take time.
  async #settle(taken: ReadonlyMap<ImageId, Layer>, hasImage: (id: ImageId) => boolean): Promise<void> {
    const spare: Layer[] = [];
    for (const [id, layer] of taken) {
      if (hasImage(id) && !this.#held.has(id)) this.#held.set(id, layer);
      else spare.push(layer);
    }
    const outcomes = await Promise.allSettled(spare.map(async (layer) => this.#layers.release(layer)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Releases the image's hold; returns the layers removed with it. */
  async release(id: ImageId): Promise<readonly LayerMetadata[]> {
    const layer = this.#held.get(id);
    if (layer === undefined) return [];
    this.#held.delete(id);
    return this.#layers.release(layer);
  }
}

function decideHolding<Result>(
  images: readonly HoldingImage[],
  taken: ReadonlyMap<ImageId, Layer>,
  decide: Decide<Result>,
): Decide<HoldingAnswer<Result>> {
  return (state) => {
    const lacking = images.filter(({ id }) => !taken.has(id) && state.image(id) === undefined);
    if (lacking.length > 0) return unchanged({ lacking });
    const { events, content, result } = decide(state);
    return { events, content, result: { result } };
  };
}

/** The part of a store's context that layers need, which is defined above this folder. */
interface LayersContext {
  readonly views: Pick<Views, 'layers'>;
  readonly writer: Pick<Writer, 'submit'>;
  readonly blobs: BlobStore;
  readonly holds: LayerHolds;
  readonly actor: string;
  readonly isBlobNeeded: (digest: Digest) => boolean;
  checkOpen(): void;
  checkWritable(): void;
}

/** Layers of an event store: events record them, blob files hold their bytes. */
export class LocalLayers implements LayerStore {
  readonly #context: LayersContext;
  readonly #held = new Set<Layer>();

  constructor(context: LayersContext) {
    this.#context = context;
  }

  async register(stream: AsyncIterable<Uint8Array>, parent?: ChainId, options: WriteOptions = {}): Promise<Layer> {
    // Before a byte is staged: a read-only store changes no file.
    this.#context.checkWritable();
    mustBeOptions(options, writeOptionNames);
    const chunks = byteChunks('stream', stream);
    const origin = originOf(options, this.#context.actor);
    if (parent !== undefined && !this.#context.views.layers.byChain.has(parent)) throw layerNotFound(parent);
    const file = await this.#context.blobs.create();
    try {
      const layer = await stageLayer(chunks, file, parent);
      return await this.#add(layer, file, origin);
    } finally {
      await file.discard();
    }
  }

  get(chainId: ChainId): Layer {
    this.#context.checkOpen();
    const facts = this.#context.views.layers.byChain.get(chainId);
    // A hold could not keep a layer that is already being removed.
    if (facts === undefined || this.#context.holds.isGoing(chainId)) throw layerNotFound(chainId);
    this.#context.holds.add(chainId);
    return this.#hold(facts);
  }

  map(): ReadonlyMap<ChainId, Layer> {
    this.#context.checkOpen();
    const layers = [...this.#context.views.layers.byChain.values()];
    return new Map(layers.map((facts) => [facts.chainId, this.#layerOf(facts)]));
  }

  async release(layer: Layer, options: WriteOptions = {}): Promise<readonly LayerMetadata[]> {
    const { writer, blobs, holds, isBlobNeeded, actor } = this.#context;
    this.#context.checkOpen();
    mustBeOptions(options, writeOptionNames);
    const origin = originOf(options, actor);
    if (!(layer instanceof LocalLayer) || !this.#held.delete(layer)) {
      const message = `the layer ${layer.chainId} is not held: it was released, or comes from a map`;
      throw new StoreError('LAYER_NOT_HELD', message, { data: { chainId: layer.chainId } });
    }
    const { chainId } = layer;
    const removal = holds.removal();
    let released: readonly LayerMetadata[];
    try {
      released = await writer.submit({
        decide: decideRelease(chainId),
        origin,
        accepted: (removed) => {
          holds.drop(chainId);
          removal.accepted?.(removed);
        },
        committed: removal.committed,
        withdrawn: (removed) => {
          holds.add(chainId);
          removal.withdrawn?.(removed);
        },
      });
    } catch (error) {
      this.#held.add(layer);
      throw error;
    }
    blobs.unpin(layer.facts.blob.digest);
    await blobs.removeUnneeded([layer.facts.blob.digest], isBlobNeeded);
    return released;
  }

  async #add(layer: NewLayer, file: StagedBlob, origin: Origin): Promise<Layer> {
    const { blobs, writer, holds, isBlobNeeded } = this.#context;
    const { digest } = layer.blob;
    blobs.pin(digest);
    try {
      // Even if it is needed already: this restores a lost or damaged file.
      await blobs.keep([{ file, digest }]);
      // The blob is durable from here: a crash leaves a file without an event, for the sweep.
      const facts = await writer.submit({
        decide: decideRegister(layer),
        origin,
        accepted: () => holds.add(layer.chainId),
        withdrawn: () => holds.drop(layer.chainId),
      });
      return this.#hold(facts);
    } finally {
      blobs.unpin(digest);
      await blobs.removeUnneeded([digest], isBlobNeeded);
    }
  }

  #hold(facts: LayerFacts): Layer {
    const layer = this.#layerOf(facts);
    this.#held.add(layer);
    this.#context.blobs.pin(facts.blob.digest);
    return layer;
  }

  #layerOf(facts: LayerFacts): LocalLayer {
    const parent = facts.parent === undefined ? undefined : this.#context.views.layers.byChain.get(facts.parent);
    return new LocalLayer(facts, parent === undefined ? undefined : this.#layerOf(parent), this.#context.blobs);
  }
}

async function stageLayer(
  stream: AsyncIterable<Uint8Array>,
  file: StagedBlob,
  parent: ChainId | undefined,
): Promise<NewLayer> {
  const meter = new LayerMeter();
  try {
    for await (const chunk of stream) {
      await Promise.all([file.write(chunk), meter.write(chunk)]);
    }
    await file.finish();
    const measurement = await meter.finish();
    const { diffId, diffSize } = requireLayer(measurement);
    const chainId = chainOnTop(parent, diffId);
    return { chainId, diffId, parent, diffSize, blob: measurement.blob };
  } finally {
    meter.destroy();
  }
}

class LocalLayer implements Layer {
  readonly facts: LayerFacts;
  readonly parent: Layer | undefined;
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly size: number;
  readonly diffSize: number;
  readonly #blobs: BlobStore;

  constructor(facts: LayerFacts, parent: Layer | undefined, blobs: BlobStore) {
    this.facts = facts;
    this.parent = parent;
    this.chainId = facts.chainId;
    this.diffId = facts.diffId;
    this.size = facts.size;
    this.diffSize = facts.diffSize;
    this.#blobs = blobs;
  }

  tarStream(): Readable {
    const { digest } = this.facts.blob;
    return Readable.from(checkedLayer(decompress(this.#blobs.read(digest)), digest, this.diffId), {
      objectMode: false,
    });
  }
}

// The blob was whole when it came in: failing to decompress, or to these bytes, means damage.
async function* checkedLayer(
  bytes: AsyncIterable<Uint8Array>,
  digest: Digest,
  diffId: DiffId,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of bytes) {
      hash.update(chunk);
      yield chunk;
    }
    const found = digestFromHash(hash.digest());
    if (found !== diffId) throw blobCorrupt(digest, { expected: diffId, found });
  } catch (error) {
    throw isStoreError(error, 'COMPRESSION_INVALID') ? blobCorrupt(digest, { cause: error }) : error;
  }
}

function blobCorrupt(
  digest: Digest,
  { cause, ...found }: { readonly cause?: unknown; readonly expected?: DiffId; readonly found?: Digest },
): StoreError {
  const data = { digest, ...found };
  return new StoreError('BLOB_CORRUPT', `the layer blob ${digest} is damaged`, { cause, data });
}
