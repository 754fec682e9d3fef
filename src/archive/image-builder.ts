import { createHash } from 'node:crypto';
import { StoreError } from '../errors.js';
import { MAX_CONFIG_BYTES, MAX_LAYERS_PER_IMAGE } from '../limits.js';
import { EMPTY_LAYER_DIFF_ID } from '../model/child-image.js';
import { type DiffId, type Digest, idFromDigest, type ImageId, isDigest, type Sha256 } from '../model/digest.js';
import { type Image, newFromJSON } from '../model/image.js';
import { requireLayer } from '../tar/layer-meter.js';
import type { StagedLayer, Staging } from './archive.js';
import { ArchiveFile } from './archive-file.js';
import type { DocumentBudget } from './document-budget.js';
import type { ArchiveLimits } from './scan-archive.js';

/** An image config of the archive, parsed. */
export interface ArchiveConfig {
  readonly id: ImageId;
  /** The exact bytes. */
  readonly bytes: Uint8Array;
  readonly image: Image;
  readonly diffIds: readonly DiffId[];
}

/** A layer as a manifest names it: the file, when the archive has it. */
export interface NamedLayer {
  readonly name: string;
  readonly file: ArchiveFile | undefined;
}

const sha256: Sha256 = (bytes) => createHash('sha256').update(bytes).digest();
/** What a layer costs that was measured before: to look its file up, by name and by digest. */
const STEPS_PER_LAYER = 4;
/** Zero bytes of a tar without entries, whose layer a file of no bytes stands for too. */
const EMPTY_TAR_BYTES = 1024;

/** Turns files of an archive into configs and layers, checking each file once however often it is named. */
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
   * Returns the config in `file`.
   * @throws {StoreError} CONFIG_TOO_LARGE, CONFIG_INVALID, ARCHIVE_LIMIT_EXCEEDED for too many layers or documents
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
    // Kept by the image: whoever decides about all of them at once does not hash them all at once.
    await this.#documents.spend(STEPS_PER_LAYER * diffIds.length);
    image.rootFS.chainID(sha256);
    const config = { id: idFromDigest(file.digest), bytes, image, diffIds };
    this.#configs.set(file.digest, config);
    return config;
  }

  /**
   * Returns the staged layer of each position of `config`, from the bottom up; undefined where the archive has no file.
   * `where` names the manifest in messages.
   *
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID when there are not as many layers as diff ids
   * @throws {StoreError} LAYER_MISMATCH, LAYER_INVALID, COMPRESSION_INVALID or ARCHIVE_LIMIT_EXCEEDED for a file that
   *   is not the layer it must be
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

/** A config may hold any text for a diff id; it ends up in names of files, so it is checked here. */
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
  if (found !== diffId) {
    throw new StoreError('LAYER_MISMATCH', `cannot use layer ${name}: expected diff id ${diffId}, found ${found}`, {
      data: { layer: name, expected: diffId, found },
    });
  }
  return { file: await file.staged(), blob: measurement.blob, diffSize };
}
