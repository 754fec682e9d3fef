import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { LayersView } from '../../../projections/layers.js';
import { StoreError } from '../../errors.js';
import { type ChainId, type DiffId, type Digest, digestFromHash } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';
import { decompress } from '../../tar/decompress.js';
import { LayerMeter, requireLayer } from '../../tar/layer-meter.js';
import type { BlobStore } from './blob-store.js';
import { byteChunks } from './byte-chunks.js';
import { chainOnTop } from './chain.js';
import type { CommandPort } from '../write/command.js';
import { decideRegister, decideRelease, layerNotFound, type NewLayer } from '../decide/register.js';
import { type Origin, originOf } from '../write/envelope.js';
import type { LayerHolds } from './layer-holds.js';
import type { StagedBlob } from './staged-blob.js';
import type { Layer, LayerMetadata, LayerStore, WriteOptions } from '../store.js';

export interface LocalLayersParts {
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
