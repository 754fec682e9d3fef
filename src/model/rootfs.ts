import { type ChainId, type DiffId, digestOf, HASH_BYTES } from './digest.js';

/** The only type of root filesystem: a stack of layers. */
export const TypeLayers = 'layers';

/** Layers of an image, bottom first. */
export interface RootFS {
  /** `layers`, or any text the config has. */
  readonly type: string;
  /** From the config, unchecked: may be any text. */
  readonly diffIds: readonly DiffId[];
  /** Chain id of the whole stack; the empty string without layers. Computed once. */
  chainID(): ChainId | '';
  /**
   * Adds a layer on top.
   * @throws {TypeError} on the root filesystem of an image, which is immutable: `clone` it first
   */
  append(diffId: DiffId): void;
  /** Returns a mutable copy. */
  clone(): RootFS;
}

class LayerStack implements RootFS {
  readonly type: string;
  readonly #isFixed: boolean;
  #diffIds: readonly DiffId[];
  #chainId: ChainId | '' | undefined;

  constructor(type: string, diffIds: readonly DiffId[], isFixed: boolean) {
    this.type = type;
    this.#diffIds = diffIds;
    this.#isFixed = isFixed;
  }

  get diffIds(): readonly DiffId[] {
    return this.#diffIds;
  }

  chainID(): ChainId | '' {
    this.#chainId ??= createChainId(this.#diffIds);
    return this.#chainId;
  }

  append(diffId: DiffId): void {
    if (this.#isFixed) throw new TypeError("an image's root filesystem cannot be appended to: clone it first");
    this.#diffIds = [...this.#diffIds, diffId];
    this.#chainId = undefined;
  }

  clone(): RootFS {
    return new LayerStack(this.type, this.#diffIds, false);
  }
}

/** Returns an empty root filesystem of type `layers`. */
export function newRootFS(): RootFS {
  return new LayerStack(TypeLayers, [], false);
}

/** Returns an immutable root filesystem, for an image. Keeps `diffIds`, which must not change. */
export function fixedRootFS(type: string, diffIds: readonly DiffId[]): RootFS {
  return new LayerStack(type, diffIds, true);
}

/**
 * Returns the chain id of layers, bottom first: the first diff id, then SHA-256 over `chain id
 * below, space, diff id` (OCI image spec, config.md, Layer ChainID). The empty string for none.
 */
export function createChainId(diffIds: readonly DiffId[]): ChainId | '' {
  return createChainIds(diffIds).at(-1) ?? '';
}

/** Returns the chain id of each layer with those below it, bottom first. */
export function createChainIds(diffIds: readonly DiffId[]): ChainId[] {
  let chain: string = '';
  return diffIds.map((diffId) => {
    // Like Docker, restart while the chain is empty: an unchecked config may have empty ids.
    chain = chain === '' ? diffId : digestOf(chainInput(`${chain} ${diffId}`));
    return chain as ChainId;
  });
}

const encoder = new TextEncoder();
/** Reused for all chains of two digests: allocating one costs as much as its hash. */
const pairOfDigests = new Uint8Array(2 * 'sha256:'.length + 4 * HASH_BYTES + 1);

function chainInput(pair: string): Uint8Array {
  if (pair.length !== pairOfDigests.length) return encoder.encode(pair);
  const { read } = encoder.encodeInto(pair, pairOfDigests);
  // A malformed digest may have multi-byte characters.
  return read === pair.length ? pairOfDigests : encoder.encode(pair);
}
