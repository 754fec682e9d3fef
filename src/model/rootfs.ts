import { type ChainId, type DiffId, digestOf, HASH_BYTES } from './digest.js';

/** The only type of root filesystem: a stack of layers. */
export const TypeLayers = 'layers';

/** The layers of an image, from the bottom up. */
export interface RootFS {
  /** `layers`, or what the config says. */
  readonly type: string;
  /** As the config says: an id that came out of a config may be any text. */
  readonly diffIds: readonly DiffId[];
  /** Returns the chain id of the whole stack; the empty string when there are no layers. Computed once. */
  chainID(): ChainId | '';
  /**
   * Adds a layer on top.
   * @throws {TypeError} when this is the root filesystem of an image, which never changes: take a `clone` first
   */
  append(diffId: DiffId): void;
  /** Returns a copy that can be appended to. */
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

/** Returns a root filesystem that refuses `append`: what an image has. Keeps `diffIds`, which must not be changed. */
export function fixedRootFS(type: string, diffIds: readonly DiffId[]): RootFS {
  return new LayerStack(type, diffIds, true);
}

/**
 * Returns the chain id of a stack of layers given from the bottom up: the first diff id, then
 * SHA-256 over `chain id below, space, diff id` (OCI image spec, config.md, Layer ChainID). The empty string for none.
 */
export function createChainId(diffIds: readonly DiffId[]): ChainId | '' {
  let chain: string = '';
  // Docker goes on looking for a bottom as long as what it has is empty; an unchecked config can hold such ids.
  for (const diffId of diffIds) chain = chain === '' ? diffId : digestOf(chainInput(`${chain} ${diffId}`));
  return chain as ChainId | '';
}

const encoder = new TextEncoder();
/** Used for every chain of which both parts are digests, one after another: a new one for each costs as much as its hash. */
const pairOfDigests = new Uint8Array(2 * 'sha256:'.length + 4 * HASH_BYTES + 1);

function chainInput(pair: string): Uint8Array {
  if (pair.length !== pairOfDigests.length) return encoder.encode(pair);
  const { read } = encoder.encodeInto(pair, pairOfDigests);
  // What is no digest may have characters of several bytes.
  return read === pair.length ? pairOfDigests : encoder.encode(pair);
}
