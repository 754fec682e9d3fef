import { StoreError } from '../errors.js';
import { entriesPath, hashInTile, parseEntries, TILE_WIDTH, tileOfTree, tilePath } from '../log/merkle.js';
import { type Digest, digestFromHash, HASH_BYTES } from '../model/digest.js';

/* Where the page gets a log from: blocks of its own document, or the server that sent it. Nothing of either is believed. */

/** Where the verifier key of a log is from. */
type KeyOrigin = 'document' | 'server';

/** The raw parts of a log. Implementers check nothing. */
export interface LogSource {
  readonly kind: KeyOrigin;
  /** First event whose record it has; 1 unless a document leaves early ones out. */
  readonly first: number;
  /** Verifier key that came with the log. */
  readonly key: string | undefined;
  /** Contents that a document has no room for, and its limit; undefined where all are there. */
  readonly leftOut: EmbeddedLog['leftOut'] | undefined;
  /** Text of the newest checkpoint, signed or not. */
  checkpoint(): Promise<string>;
  /** Records of the events 256 × `index` + 1 up to `size`, at most 256. */
  records(index: number, size: number): Promise<readonly Uint8Array[]>;
  /** What the source says the leaf hashes of those records are: so many bytes of each, or none. */
  witnesses(index: number, size: number): Promise<readonly Uint8Array[]>;
  /** Hash of full tile `index`, where its records were left out. */
  tileHash(index: number): Uint8Array | undefined;
  /** Bytes of a config, manifest or index; undefined when it has none. */
  content(digest: Digest): Promise<Uint8Array | undefined>;
}

/** Facts of a log that stands in a document; the first of its blocks, as JSON. */
export interface EmbeddedLog {
  readonly checkpoint: string;
  readonly key?: string | undefined;
  /** First event that is there: 1, or 256 × n + 1. */
  readonly first: number;
  /** When the document was made, milliseconds since the epoch. */
  readonly madeAt: number;
  /** The moment where it ends, if it was made as of one before. */
  readonly until?: number | undefined;
  readonly recordBlocks: number;
  /** First digest of each block of contents, sorted. */
  readonly contentBlocks: readonly string[];
  /** Contents that did not fit the limit, and how many bytes that is. */
  readonly leftOut: { readonly contents: number; readonly limitBytes: number };
}

/** All blocks of a document but the first, in base64. */
export interface EmbeddedBlocks {
  /** Gzip over the records of RECORD_BLOCK_TILES tiles, each as an entry bundle after its length (4 bytes). */
  readonly records: readonly string[];
  /** First WITNESS_BYTES of each leaf hash. */
  readonly witnesses: string;
  /** Hashes of the tiles whose records were left out, 32 bytes each. */
  readonly tiles: string;
  /** Gzip over contents in order of their digests: hash (32 bytes), length (4 bytes), bytes. */
  readonly contents: readonly string[];
}

/** Tiles of records in one block: 4,096 events. */
export const RECORD_BLOCK_TILES = 16;
/** Bytes kept of each leaf hash: enough to find a changed record, not to prove anything. */
export const WITNESS_BYTES = 4;
/** Bytes of a length in a block. */
export const BLOCK_LENGTH_BYTES = 4;
/** Blocks kept decompressed. */
const KEPT_BLOCKS = 4;

/** A log that stands in the document. */
export class EmbeddedSource implements LogSource {
  readonly kind = 'document';
  readonly first: number;
  readonly key: string | undefined;
  readonly leftOut: EmbeddedLog['leftOut'];
  readonly #log: EmbeddedLog;
  readonly #blocks: EmbeddedBlocks;
  readonly #witnesses: Uint8Array;
  readonly #tiles: Uint8Array;
  readonly #kept = new Map<string, Promise<Uint8Array>>();

  constructor(log: EmbeddedLog, blocks: EmbeddedBlocks) {
    if (!Number.isSafeInteger(log.first) || log.first < 1 || (log.first - 1) % TILE_WIDTH !== 0) {
      throw new StoreError('BACKUP_INVALID', `no tile begins with event ${log.first}`);
    }
    this.#log = log;
    this.#blocks = blocks;
    this.first = log.first;
    this.key = log.key;
    this.leftOut = log.leftOut;
    this.#witnesses = bytesOfBlock(blocks.witnesses);
    this.#tiles = bytesOfBlock(blocks.tiles);
  }

  checkpoint(): Promise<string> {
    return Promise.resolve(this.#log.checkpoint);
  }

  async records(index: number): Promise<readonly Uint8Array[]> {
    const place = index - this.#firstTile;
    const block = this.#blocks.records[Math.floor(place / RECORD_BLOCK_TILES)];
    if (place < 0 || block === undefined) return [];
    const bytes = await this.#open(block);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (let tile = 0; tile < place % RECORD_BLOCK_TILES; tile++) {
      if (at + BLOCK_LENGTH_BYTES > bytes.length) return [];
      at += BLOCK_LENGTH_BYTES + view.getUint32(at);
    }
    if (at + BLOCK_LENGTH_BYTES > bytes.length) return [];
    const start = at + BLOCK_LENGTH_BYTES;
    // A copy: a view would keep the whole block.
    return parseEntries(bytes.slice(start, start + view.getUint32(at)));
  }

  witnesses(index: number): Promise<readonly Uint8Array[]> {
    const start = (index - this.#firstTile) * TILE_WIDTH;
    const all = this.#witnesses;
    return Promise.resolve(
      Array.from({ length: TILE_WIDTH }, (_, at) =>
        all.subarray((start + at) * WITNESS_BYTES, (start + at + 1) * WITNESS_BYTES),
      ).filter(({ length }) => length === WITNESS_BYTES),
    );
  }

  tileHash(index: number): Uint8Array | undefined {
    const hash = this.#tiles.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    return hash.length === HASH_BYTES ? hash : undefined;
  }

  async content(digest: Digest): Promise<Uint8Array | undefined> {
    const { contentBlocks } = this.#log;
    const place = contentBlocks.findLastIndex((first) => first <= digest);
    const block = this.#blocks.contents[place];
    if (block === undefined) return undefined;
    const bytes = await this.#open(block);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const headBytes = HASH_BYTES + BLOCK_LENGTH_BYTES;
    for (let at = 0; at + headBytes <= bytes.length; ) {
      const length = view.getUint32(at + HASH_BYTES);
      if (digestFromHash(bytes, at) === digest) return bytes.slice(at + headBytes, at + headBytes + length);
      at += headBytes + length;
    }
    return undefined;
  }

  get #firstTile(): number {
    return Math.floor((this.first - 1) / TILE_WIDTH);
  }

  #open(block: string): Promise<Uint8Array> {
    const known = this.#kept.get(block);
    if (known !== undefined) return known;
    const opened = gunzipped(bytesOfBlock(block));
    this.#kept.set(block, opened);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_BLOCKS) break;
      this.#kept.delete(oldest);
    }
    return opened;
  }
}

/** Decodes base64, a quarter of all work in a large document. @throws {StoreError} BACKUP_INVALID */
function bytesOfBlock(text: string): Uint8Array<ArrayBuffer> {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new StoreError('BACKUP_INVALID', 'a block of the document is not base64', { cause });
  }
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

async function gunzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    // Browsers say no more than that a network failed.
    throw new StoreError('BACKUP_INVALID', 'a block of the document does not decompress', { cause });
  }
}

type Get = (url: URL) => Promise<Response>;

/** The log of the server that sent the page, over its evidence routes. */
export class ServedSource implements LogSource {
  readonly kind = 'server';
  readonly first = 1;
  readonly key: string | undefined;
  readonly leftOut = undefined;
  readonly #base: string;
  readonly #get: Get;

  private constructor(base: string, get: Get, key: string | undefined) {
    this.#base = base;
    this.#get = get;
    this.key = key;
  }

  /** `base` is the absolute address of the page; `reload` asks again for what the browser has kept. */
  static async open(base: string, cache: 'default' | 'reload' = 'default'): Promise<ServedSource> {
    const get: Get = (url) =>
      // Browsers say no more than that they failed to fetch.
      fetch(url, { cache } as RequestInit).catch((cause: unknown) => {
        throw new Error('the server cannot be reached', { cause });
      });
    const answer = await get(new URL('log/key', base));
    if (!answer.ok && answer.status !== 404) throw new Error(`the server answers ${answer.status} for log/key`);
    return new ServedSource(base, get, answer.ok ? (await answer.text()).trim() : undefined);
  }

  async checkpoint(): Promise<string> {
    return new TextDecoder().decode(await this.#read('log/checkpoint'));
  }

  async records(index: number, size: number): Promise<readonly Uint8Array[]> {
    return parseEntries(await this.#read(`log/${entriesPath(index, widthOf(index, size))}`));
  }

  async witnesses(index: number, size: number): Promise<readonly Uint8Array[]> {
    const tile = tileOfTree(0, index, size);
    const bytes = await this.#read(`log/${tilePath(tile)}`);
    return Array.from({ length: Math.floor(bytes.length / HASH_BYTES) }, (_, at) => hashInTile(bytes, at));
  }

  tileHash(): undefined {
    return undefined;
  }

  async content(digest: Digest): Promise<Uint8Array | undefined> {
    const answer = await this.#get(new URL(`log/content/${digest}`, this.#base));
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`the server answers ${answer.status} for ${digest}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  async #read(path: string): Promise<Uint8Array> {
    const answer = await this.#get(new URL(path, this.#base));
    if (!answer.ok) throw new Error(`the server answers ${answer.status} for ${path}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
}

function widthOf(index: number, size: number): number {
  return Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
}
