import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { type Digest, digestHex, digestOf, isDigest, parseDigest } from '../../model/digest.js';
import { mustBeString, mustBeText } from '../argument-types.js';
import { checkMetadataKey, metadataNotFound } from '../decide/metadata.js';
import { imageNotFound } from '../decide/need.js';
import { ioFailure, makeDurableDirectory, removeDurably, writeDurableFile } from '../files/durable-file.js';
import { nodeSha256 } from '../files/node-hash.js';
import { readRegularFileSync } from '../files/regular-file.js';
import type { DigestWalkFunc, StoreBackend } from '../store.js';

/** What `newFSStoreBackend` of the library does, which says how. */
export async function newFSStoreBackend(root: string): Promise<StoreBackend> {
  mustBeString('root', root);
  mustBeText('root', root);
  const backend = new FilesystemBackend(root);
  await backend.makeDirectories();
  return backend;
}

class FilesystemBackend implements StoreBackend {
  readonly #root: string;
  readonly #content: string;
  readonly #metadata: string;

  constructor(root: string) {
    this.#root = root;
    this.#content = join(root, 'content', 'sha256');
    this.#metadata = join(root, 'metadata', 'sha256');
  }

  async makeDirectories(): Promise<void> {
    for (const folder of ['content', 'metadata']) await makeDurableDirectory(this.#root, `${folder}/sha256`);
  }

  walk(visit: DigestWalkFunc): void {
    for (const name of namesIn(this.#content)) {
      const digest = `sha256:${name}`;
      if (isDigest(digest)) visit(digest);
    }
  }

  get(digest: Digest): Uint8Array {
    const bytes = readRegularFileSync(this.#contentFile(digest));
    if (bytes === undefined) throw imageNotFound(digest);
    if (digestOf(bytes, nodeSha256) === digest) return bytes;
    throw new StoreError('CONTENT_CORRUPT', `the content ${digest} is damaged: its bytes have another digest`, {
      data: { digest },
    });
  }

  async set(data: Uint8Array): Promise<Digest> {
    if (data.length === 0) throw new StoreError('CONFIG_INVALID', 'cannot keep empty data as an image config');
    const digest = digestOf(data, nodeSha256);
    await writeDurableFile(this.#contentFile(digest), data);
    return digest;
  }

  async delete(digest: Digest): Promise<void> {
    const file = this.#contentFile(digest);
    if (readRegularFileSync(file) === undefined) throw imageNotFound(digest);
    // Metadata first: a crash between the two leaves an image without metadata, never metadata without an image.
    await removeDurably(this.#metadataDirectory(digest));
    await removeDurably(file);
  }

  async setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void> {
    this.get(digest);
    const file = this.#metadataFile(digest, key);
    await makeDurableDirectory(this.#root, `metadata/sha256/${digestHex(checkedDigest(digest))}`);
    await writeDurableFile(file, value);
  }

  getMetadata(digest: Digest, key: string): Uint8Array {
    this.get(digest);
    const value = readRegularFileSync(this.#metadataFile(digest, key));
    if (value === undefined) throw metadataNotFound(digest, key);
    return value;
  }

  async deleteMetadata(digest: Digest, key: string): Promise<void> {
    await removeDurably(this.#metadataFile(digest, key));
  }

  // A digest is checked before it becomes part of a path.
  #contentFile(digest: string): string {
    return join(this.#content, digestHex(checkedDigest(digest)));
  }

  #metadataDirectory(digest: string): string {
    return join(this.#metadata, digestHex(checkedDigest(digest)));
  }

  #metadataFile(digest: string, key: string): string {
    checkMetadataKey(key);
    return join(this.#metadataDirectory(digest), key);
  }
}

// What is no digest names no image: Docker's layout would look for such a file and find none.
function checkedDigest(digest: string): Digest {
  if (isDigest(digest)) return parseDigest(digest);
  throw imageNotFound(digest);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    throw ioFailure(`read ${directory}`, error);
  }
}
