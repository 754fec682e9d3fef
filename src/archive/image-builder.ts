import { StoreError } from '../errors.js';
import { MAX_CONFIG_BYTES, MAX_LAYERS_PER_IMAGE } from '../limits.js';
import { type DiffId, type Digest, idFromDigest, type ImageId, isDigest } from '../model/digest.js';
import { EMPTY_LAYER_DIFF_ID, type Image, newFromJSON } from '../model/image.js';
import { ArchiveFile, type StagedLayer, type Staging } from './archive-files.js';
import type { ArchiveLimits } from './archive-tree.js';
import type { DocumentBudget } from './documents.js';
import { layerMismatch, requireLayer } from './layer-meter.js';

/** A parsed image config of the archive. */
export interface ArchiveConfig {
  readonly id: ImageId;
  readonly bytes: Uint8Array;
  readonly image: Image;
  readonly diffIds: readonly DiffId[];
}

/** A layer named by a manifest; `file` is undefined if missing from the archive. */
interface NamedLayer {
  readonly name: string;
  readonly file: ArchiveFile | undefined;
}

/** Cost of an already measured layer: lookups by name and digest. */
const STEPS_PER_LAYER = 4;
/** Zero bytes of an empty tar; a layer file of no bytes is treated as one. */
const EMPTY_TAR_BYTES = 1024;

/** Turns archive files into configs and layers; checks each file only once. */
export class ImageBuilder {
  readonly #staging: Staging;
  readonly #documents: DocumentBudget;
  readonly #limits: ArchiveLimits;
  readonly #configs = new Map<Digest, ArchiveConfig>();
  readonly #layers = new Map<string, StagedLayer>();

  constructor(staging: Staging, documents: DocumentBudget, limits: ArchiveLimits) {
    this.#staging = staging;
    this.#documents = documents;
    this.#limits = limits;
  }

  /**
   * Parses the config in `file`.
   * @throws {StoreError} CONFIG_TOO_LARGE, CONFIG_INVALID, ARCHIVE_LIMIT_EXCEEDED
   */
  async config(file: ArchiveFile): Promise<ArchiveConfig> {
    const known = this.#configs.get(file.digest);
    if (known !== undefined) return known;
    const bytes = await this.#documents.read(file, this.#limits.maxConfigBytes ?? MAX_CONFIG_BYTES, 'CONFIG_TOO_LARGE');
    const image = newFromJSON(bytes);
    const diffIds = checkedDiffIds(file.digest, image);
    const limit = this.#limits.maxLayersPerImage ?? MAX_LAYERS_PER_IMAGE;
    if (diffIds.length > limit) {
      throw new StoreError(
        'ARCHIVE_LIMIT_EXCEEDED',
        `cannot read image ${file.digest}: expected at most ${limit} layers, found ${diffIds.length}`,
        { data: { image: file.digest, limit, found: diffIds.length } },
      );
    }
    // Computed now and cached in the image, so deciding on all images later does not hash them all
    // at once.
    await this.#documents.spend(STEPS_PER_LAYER * diffIds.length);
    image.rootFS.chainID();
    const config = { id: idFromDigest(file.digest), bytes, image, diffIds };
    this.#configs.set(file.digest, config);
    return config;
  }

  /**
   * Returns the staged layers of `config`, bottom to top; undefined where the archive lacks the
   * file. `where` names the manifest in messages.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID if layer and diff id counts differ
   * @throws {StoreError} LAYER_MISMATCH, LAYER_INVALID, COMPRESSION_INVALID or
   *   ARCHIVE_LIMIT_EXCEEDED if a file is not its expected layer
   */
  async layers(
    config: ArchiveConfig,
    layers: readonly NamedLayer[],
    where: string,
  ): Promise<readonly (StagedLayer | undefined)[]> {
    const { id, diffIds } = config;
    if (layers.length !== diffIds.length) {
      throw new StoreError(
        'ARCHIVE_MANIFEST_INVALID',
        `cannot read ${where}: expected ${diffIds.length} layers as in the config ${id}, found ${layers.length}`,
        { data: { image: id, expected: diffIds.length, found: layers.length } },
      );
    }
    await this.#documents.spend(STEPS_PER_LAYER * layers.length);
    const staged: (StagedLayer | undefined)[] = [];
    for (const [at, diffId] of diffIds.entries()) {
      const layer = layers[at];
      staged.push(layer?.file === undefined ? undefined : await this.#layer(layer.name, layer.file, diffId));
    }
    return staged;
  }

  async #layer(name: string, file: ArchiveFile, diffId: DiffId): Promise<StagedLayer> {
    const key = `${file.digest} ${diffId}`;
    const known = this.#layers.get(key);
    if (known !== undefined) return known;
    const actual = file.size === 0 && diffId === EMPTY_LAYER_DIFF_ID ? this.#emptyTar(name) : file;
    const layer = await checkLayer(name, actual, diffId);
    this.#layers.set(key, layer);
    return layer;
  }

  #emptyTar(name: string): ArchiveFile {
    return ArchiveFile.inMemory(name, new Uint8Array(EMPTY_TAR_BYTES), this.#staging);
  }
}

/** Diff ids become file names, but a config may contain any text, so validate them here. */
function checkedDiffIds(id: Digest, image: Image): readonly DiffId[] {
  const { diffIds } = image.rootFS;
  const at = diffIds.findIndex((diffId) => !isDigest(diffId));
  if (at === -1) return diffIds;
  const found = JSON.stringify(diffIds[at]?.slice(0, 100));
  throw new StoreError(
    'CONFIG_INVALID',
    `cannot use config ${id}: expected a digest at rootfs.diff_ids[${at}], found ${found}`,
    {
      data: { image: id },
    },
  );
}

async function checkLayer(name: string, file: ArchiveFile, diffId: DiffId): Promise<StagedLayer> {
  const measurement = await file.measure();
  if (measurement.layer instanceof StoreError) {
    const { code, message, data } = measurement.layer;
    throw new StoreError(code, `cannot read layer ${name}: ${message}`, { cause: measurement.layer, data });
  }
  const { diffId: found, diffSize } = requireLayer(measurement);
  if (found !== diffId) throw layerMismatch(name, diffId, found);
  return { file: file.staged(), blob: measurement.blob, diffSize };
}
