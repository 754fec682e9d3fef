import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { digestHex, digestOf, type Digest } from '../../../src/model/digest.js';

/** An image as Docker's store returns it, its config decoded when it is first read. */
export interface DockerImage {
  readonly id: Digest;
  readonly parent: Digest | undefined;
  /** Decoded once. Docker decodes in `get` already: later is in the peer's favour. */
  config(): DockerConfig;
}

/** The part of a config that the store reads. */
export interface DockerConfig {
  readonly architecture?: string;
  readonly rootfs?: { readonly diff_ids?: readonly string[] };
}

/** Of Go's temporary files. */
const FILE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/**
 * Docker's image store (moby's image/store.go over image/fs.go and pkg/ioutils): the files and the
 * system calls of its daemon, which a test compares with a trace of one, and between them as little
 * work as JavaScript needs. Calls block, as they do in Go below its mutex: for one request after
 * another, which is all that the mutex lets through, nothing in Node is faster. Every layer is
 * there; chain ids are not computed.
 */
export class DockerImages {
  readonly #content: string;
  readonly #metadata: string;
  /** Ids of children by id. */
  readonly #images = new Map<Digest, Set<Digest>>();

  /** Restores what is in `root`, a directory (created if missing) as `image/vfs/imagedb`. */
  constructor(root: string) {
    this.#content = join(root, 'content', 'sha256');
    this.#metadata = join(root, 'metadata', 'sha256');
    for (const path of [this.#content, this.#metadata]) mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
    this.#restore();
  }

  get size(): number {
    return this.#images.size;
  }

  /** Stores a config durably, as far as Docker's own is: the name is not synced. */
  create(config: Uint8Array): Digest {
    decode(config);
    const id = digestOf(config);
    writeAtomically(join(this.#content, digestHex(id)), config);
    if (!this.#images.has(id)) this.#images.set(id, new Set());
    return id;
  }

  /** Reads and checks the config twice: Docker does, first for itself, then for the metadata. */
  get(id: Digest): DockerImage {
    const bytes = this.#read(id);
    const parent = this.#parentOf(id);
    let decoded: DockerConfig | undefined;
    return {
      id,
      parent,
      config: () => {
        decoded ??= decode(bytes);
        return decoded;
      },
    };
  }

  setParent(id: Digest, parent: Digest): void {
    this.#setMetadata(id, 'parent', parent);
    this.#images.get(parent)?.add(id);
  }

  /** Notes when a reference was last set to the image, as `docker tag` and `docker load` do. */
  setLastUpdated(id: Digest, at: Date): void {
    this.#setMetadata(id, 'lastUpdated', at.toISOString());
  }

  /** Reads every image. */
  map(): Map<Digest, DockerImage> {
    return this.#mapOf(() => true);
  }

  /** Reads every image without children. */
  heads(): Map<Digest, DockerImage> {
    return this.#mapOf((children) => children.size === 0);
  }

  #mapOf(accepts: (children: ReadonlySet<Digest>) => boolean): Map<Digest, DockerImage> {
    const images = new Map<Digest, DockerImage>();
    for (const [id, children] of this.#images) if (accepts(children)) images.set(id, this.get(id));
    return images;
  }

  #restore(): void {
    for (const name of readdirSync(this.#content)) {
      const image = this.get(`sha256:${name}` as Digest);
      // For the layers that it holds.
      image.config();
      this.#images.set(image.id, new Set());
    }
    // Docker reads the parent again, and with it the config.
    for (const id of this.#images.keys()) {
      const parent = this.#parentOf(id);
      if (parent !== undefined) this.#images.get(parent)?.add(id);
    }
  }

  #parentOf(id: Digest): Digest | undefined {
    this.#read(id);
    try {
      return readFileSync(join(this.#metadata, digestHex(id), 'parent'), 'utf8') as Digest;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #setMetadata(id: Digest, key: string, value: string): void {
    this.#read(id);
    const directory = join(this.#metadata, digestHex(id));
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    writeAtomically(join(directory, key), Buffer.from(value));
  }

  #read(id: Digest): Uint8Array {
    const bytes = readFileSync(join(this.#content, digestHex(id)));
    if (digestOf(bytes) !== id) throw new RangeError(`the config ${id} is damaged`);
    return bytes;
  }
}

function decode(config: Uint8Array): DockerConfig {
  return JSON.parse(Buffer.from(config.buffer, config.byteOffset, config.byteLength).toString()) as DockerConfig;
}

/** Writes beside `path`, syncs the file, and renames it: moby's atomic writer syncs no directory. */
function writeAtomically(path: string, bytes: Uint8Array): void {
  const temporary = join(dirname(path), `.tmp-${basename(path)}${randomBytes(4).readUInt32LE()}`);
  const file = openSync(temporary, FILE_FLAGS, FILE_MODE);
  try {
    try {
      writeSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    chmodSync(temporary, FILE_MODE);
    renameSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
}
