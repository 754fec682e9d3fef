import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type ChainId, type DiffId, type Digest, digestFromHash, type ImageId } from '../../model/digest.js';
import { createChainId } from '../../model/rootfs.js';
import { type Command, type CommandPort, type Origin, originOf } from '../writer.js';
import { type Decide, type HoldCounts, unchanged } from '../commands/decision.js';
import type { Layer, LayerGetReleaser, LayerMetadata, LayerStore, WriteOptions } from '../event-store.js';
import { isStoreError, StoreError } from '../../errors.js';
import type { LayersView } from '../../../projections/layers.js';
import type { LayerFacts } from '../../model/events.js';
import { decompress } from '../../tar/decompress.js';
import { LayerMeter, requireLayer } from '../../tar/layer-meter.js';
import { type BlobStore, byteChunks, type StagedBlob } from './blob-store.js';
import { decideRegister, decideRelease, layerNotFound, type NewLayer } from '../commands/register.js';

/** Returns the chain of the layer `diffId` on top of `parent` (OCI image spec, config.md, Layer ChainID). */
export function chainOnTop(parent: ChainId | undefined, diffId: DiffId): ChainId {
  // The chain of one layer is its diff id, so a parent chain can stand where the first diff id would.
  const below: string | undefined = parent;
  return createChainId(below === undefined ? [diffId] : [below as DiffId, diffId]) as ChainId;
}

/** Counts the callers that hold each chain, and knows which chains are going. Holds are of this process and end with it. */
export class LayerHolds implements HoldCounts {
  readonly #counts = new Map<ChainId, number>();
  readonly #going = new Set<ChainId>();

  holdsOf(chainId: ChainId): number {
    return this.#counts.get(chainId) ?? 0;
  }

  add(chainId: ChainId): void {
    this.#counts.set(chainId, this.holdsOf(chainId) + 1);
  }

  /** Whether a command that is not yet durable removes the layer: then nobody may take a hold on it any more. */
  isGoing(chainId: ChainId): boolean {
    return this.#going.has(chainId);
  }

  /** Returns what a command has to call whose result are the layers that it removes. */
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

/** An image that a command may create, and the chain that it holds then. */
interface HoldingImage {
  readonly id: ImageId;
  readonly chainId: ChainId;
}

/** What a decision comes to that may lack holds: its own result, or the images that it cannot create without. */
export type HoldingAnswer<Result> = { readonly result: Result } | { readonly lacking: readonly HoldingImage[] };

/** Submits a command whose decision is passed through `holding` first. */
type Submit<Result> = (
  holding: (decide: Decide<Result>) => Decide<HoldingAnswer<Result>>,
) => Promise<HoldingAnswer<Result>>;

/**
 * The layers that images hold in a layer store kept elsewhere: one hold for each image with layers, as
 * Docker's image store takes them.
 */
export class HeldLayers {
  readonly #layers: LayerGetReleaser;
  readonly #held = new Map<ImageId, Layer>();

  constructor(layers: LayerGetReleaser) {
    this.#layers = layers;
  }

  /**
   * Takes a hold on a chain, not yet for an image.
   * @throws {StoreError} LAYER_MISSING, with whatever the layer store threw as its cause
   */
  async take(chainId: ChainId): Promise<Layer> {
    try {
      return await this.#layers.get(chainId);
    } catch (cause) {
      throw new StoreError(
        'LAYER_MISSING',
        `the image needs the layer chain ${chainId}, which the layer store does not give`,
        {
          cause,
          data: { chainId },
        },
      );
    }
  }

  /** Takes the image's hold on a chain, if the layer store gives it. */
  async tryTake(id: ImageId, chainId: ChainId): Promise<boolean> {
    try {
      this.assign(id, await this.take(chainId));
      return true;
    } catch (error) {
      if (isStoreError(error, 'LAYER_MISSING')) return false;
      throw error;
    }
  }

  /** Makes a hold that was taken the image's. */
  assign(id: ImageId, layer: Layer): void {
    this.#held.set(id, layer);
  }

  /**
   * Submits a command that may create `images`, with a hold taken on the chain of each that it does create. Afterwards
   * each hold is its image's, or is given back when no image needs it: also when the command's outcome is unknown and
   * its images are there.
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
      // The command's own error is the one to tell.
      await this.#settle(taken, hasImage).catch(() => undefined);
      throw error;
    }
    await this.#settle(taken, hasImage);
    return result;
  }

  // Only the decision sees which images it creates: a deletion may wait ahead of it. It asks for the holds that it lacks.
  async #submitHolding<Result>(
    images: readonly HoldingImage[],
    taken: Map<ImageId, Layer>,
    submit: Submit<Result>,
  ): Promise<Result> {
    for (;;) {
      const answer = await submit((decide) => decideHolding(images, taken, decide));
      if ('result' in answer) return answer.result;
      for (const { id, chainId } of answer.lacking) taken.set(id, await this.take(chainId));
    }
  }

  // First all that images get, in one turn with the views; the layer store may take its time over the others.
  async #settle(taken: ReadonlyMap<ImageId, Layer>, hasImage: (id: ImageId) => boolean): Promise<void> {
    const spare: Layer[] = [];
    for (const [id, layer] of taken) {
      if (hasImage(id) && !this.#held.has(id)) this.assign(id, layer);
      else spare.push(layer);
    }
    const outcomes = await Promise.allSettled(spare.map(async (layer) => this.#layers.release(layer)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Gives up the image's hold; returns the layers that went with it. */
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

interface LocalLayersParts {
  readonly view: () => LayersView;
  readonly port: CommandPort;
  readonly blobs: BlobStore;
  readonly holds: LayerHolds;
  readonly isBlobNeeded: (digest: Digest) => boolean;
  /** Throws STORE_CLOSED when the store is. */
  readonly checkOpen: () => void;
  /** Throws STORE_CLOSED or STORE_READ_ONLY when nothing may be written. */
  readonly checkWritable: () => void;
  readonly actor: string;
}

/** The layers of an event store: events say which there are, blob files hold their bytes. */
export class LocalLayers implements LayerStore {
  readonly #parts: LocalLayersParts;
  readonly #held = new Set<Layer>();

  constructor(parts: LocalLayersParts) {
    this.#parts = parts;
  }

  async register(stream: AsyncIterable<Uint8Array>, parent?: ChainId, options: WriteOptions = {}): Promise<Layer> {
    // Before a byte is staged: a store for reading only changes no file.
    this.#parts.checkWritable();
    const chunks = byteChunks('stream', stream);
    const origin = originOf(options, this.#parts.actor);
    if (parent !== undefined && !this.#parts.view().byChain.has(parent)) throw layerNotFound(parent);
    const file = await this.#parts.blobs.create();
    try {
      const layer = await stageLayer(chunks, file, parent);
      return await this.#add(layer, file, origin);
    } finally {
      await file.discard();
    }
  }

  get(chainId: ChainId): Layer {
    this.#parts.checkOpen();
    const facts = this.#parts.view().byChain.get(chainId);
    // A hold on a layer that a deletion already takes away could not keep it.
    if (facts === undefined || this.#parts.holds.isGoing(chainId)) throw layerNotFound(chainId);
    this.#parts.holds.add(chainId);
    return this.#hold(facts);
  }

  map(): ReadonlyMap<ChainId, Layer> {
    this.#parts.checkOpen();
    const layers = [...this.#parts.view().byChain.values()];
    return new Map(layers.map((facts) => [facts.chainId, this.#layerOf(facts)]));
  }

  async release(layer: Layer, options: WriteOptions = {}): Promise<readonly LayerMetadata[]> {
    const { port, blobs, holds, isBlobNeeded, checkOpen, actor } = this.#parts;
    checkOpen();
    const origin = originOf(options, actor);
    if (!(layer instanceof LocalLayer) || !this.#held.delete(layer)) {
      throw new StoreError(
        'LAYER_NOT_HELD',
        `the layer ${layer.chainId} is not held: it was released, or comes from a map`,
        {
          data: { chainId: layer.chainId },
        },
      );
    }
    const { chainId } = layer;
    const removal = holds.removal();
    let released: readonly LayerMetadata[];
    try {
      released = await port.submit({
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
    const { blobs, port, holds, isBlobNeeded } = this.#parts;
    const { digest } = layer.blob;
    blobs.pin(digest);
    try {
      // Also one that is needed already: a file that was lost or damaged comes back with its layer.
      await blobs.keep([{ file, digest }]);
      // The blob is durable from here: a crash leaves a file without an event, for the sweep.
      const facts = await port.submit({
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
    this.#parts.blobs.pin(facts.blob.digest);
    return layer;
  }

  #layerOf(facts: LayerFacts): LocalLayer {
    const parent = facts.parent === undefined ? undefined : this.#parts.view().byChain.get(facts.parent);
    return new LocalLayer(facts, parent === undefined ? undefined : this.#layerOf(parent), this.#parts.blobs);
  }
}

/** Writes `stream` to `file` and measures it. */
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
  readonly #blobs: BlobStore;

  constructor(facts: LayerFacts, parent: Layer | undefined, blobs: BlobStore) {
    this.facts = facts;
    this.parent = parent;
    this.#blobs = blobs;
  }

  get chainId(): ChainId {
    return this.facts.chainId;
  }

  get diffId(): DiffId {
    return this.facts.diffId;
  }

  get size(): number {
    return this.facts.size;
  }

  get diffSize(): number {
    return this.facts.diffSize;
  }

  tarStream(): Readable {
    const { digest } = this.facts.blob;
    return Readable.from(checkedLayer(decompress(this.#blobs.read(digest)), digest, this.diffId), {
      objectMode: false,
    });
  }
}

// A blob that no longer decompresses, or to other bytes, was damaged in the store; it was whole when it came in.
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
    if (error instanceof StoreError && error.code === 'COMPRESSION_INVALID') {
      throw blobCorrupt(digest, { cause: error });
    }
    throw error;
  }
}

function blobCorrupt(
  digest: Digest,
  { cause, ...found }: { readonly cause?: unknown; readonly expected?: DiffId; readonly found?: Digest },
): StoreError {
  const data = { digest, ...found };
  return new StoreError('BLOB_CORRUPT', `the layer blob ${digest} is damaged`, { cause, data });
}
