import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { entriesPath, formatEntries, leafHash, parseEntries, TILE_WIDTH, tileOfTree, tilePath } from '../log/merkle.js';
import { decodeRecord } from '../log/record.js';
import { type Digest, HASH_BYTES, hashFromDigest } from '../model/digest.js';
import { contentsOf } from '../model/subjects.js';
import {
  BLOCK_LENGTH_BYTES,
  type EmbeddedBlocks,
  type EmbeddedLog,
  RECORD_BLOCK_TILES,
  WITNESS_BYTES,
} from '../page/source.js';
import type { EventStore } from '../store/event-store.js';

const compressed = promisify(gzip);

/** What to put into a document. */
export interface EmbedOptions {
  /** Events of the log that it shows. */
  readonly size: number;
  /** Text of a checkpoint of so many events. */
  readonly checkpoint: string;
  readonly key: string | undefined;
  readonly madeAt: number;
  /** The moment where it ends, if it is made as of one before. */
  readonly until?: number | undefined;
  /** Bytes that the document may have, and those of its template. */
  readonly limitBytes: number;
  readonly templateBytes: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Uncompressed bytes of contents in one block: read as a whole for any of them. */
const CONTENT_BLOCK_BYTES = 256 * 1024;
/** Bytes of the document around a block, at most; of the first digest of a block of contents; of all facts. */
const BLOCK_TAG_BYTES = 64;
const FIRST_BYTES = 80;
const FACTS_BYTES = 512;

/** A log as blocks of a document: the newest events that fit the limit, and then the newest contents. */
export async function embedLog(
  store: Pick<EventStore, 'readTile' | 'readContent'>,
  { size, checkpoint, key, madeAt, until, limitBytes, templateBytes, onProgress }: EmbedOptions,
): Promise<{ readonly log: EmbeddedLog; readonly blocks: EmbeddedBlocks }> {
  const records: string[] = [];
  const witnesses: Uint8Array[] = [];
  const named = new Set<Digest>();
  let used = templateBytes + JSON.stringify([checkpoint, key]).length + FACTS_BYTES;
  let first = size + 1;
  const blockEvents = RECORD_BLOCK_TILES * TILE_WIDTH;
  for (
    let start = Math.floor(Math.max(0, size - 1) / blockEvents) * blockEvents;
    size > 0 && start >= 0;
    start -= blockEvents
  ) {
    const tiles = await tilesOf(store, start, Math.min(size, start + blockEvents));
    const text = base64(await compressed(joined(tiles.map((each) => formatEntries(each)))));
    const hashes = tiles.flat().map((record) => leafHash(record).subarray(0, WITNESS_BYTES));
    const bytes = text.length + BLOCK_TAG_BYTES + base64Length(hashes.length * WITNESS_BYTES);
    // Without any event it would show nothing.
    if (used + bytes + tileBytes(start) > limitBytes && records.length > 0) break;
    used += bytes;
    first = start + 1;
    records.unshift(text);
    witnesses.unshift(Buffer.concat(hashes));
    for (const record of tiles.flat().reverse())
      for (const digest of contentsOf(decodeRecord(record.slice()))) named.add(digest);
    onProgress?.(size - start, size);
  }
  const tiles = await leftOutTiles(store, first - 1, size);
  const contents = await contentBlocks(store, named, limitBytes - used - tileBytes(first - 1));
  const log: EmbeddedLog = {
    checkpoint,
    ...(key === undefined ? {} : { key }),
    first: size === 0 ? 1 : first,
    madeAt,
    ...(until === undefined ? {} : { until }),
    recordBlocks: records.length,
    contentBlocks: contents.firsts,
    leftOut: { contents: contents.leftOut, limitBytes },
  };
  const blocks = {
    records,
    witnesses: base64(Buffer.concat(witnesses)),
    tiles: base64(tiles),
    contents: contents.blocks,
  };
  return { log, blocks };
}

async function tilesOf(store: Pick<EventStore, 'readTile'>, start: number, end: number): Promise<Uint8Array[][]> {
  const tiles: Uint8Array[][] = [];
  for (let from = start; from < end; from += TILE_WIDTH) {
    tiles.push(parseEntries(await store.readTile(entriesPath(from / TILE_WIDTH, Math.min(TILE_WIDTH, end - from)))));
  }
  return tiles;
}

/** Hashes of the full tiles whose records are left out. */
async function leftOutTiles(store: Pick<EventStore, 'readTile'>, events: number, size: number): Promise<Uint8Array> {
  const count = Math.floor(events / TILE_WIDTH);
  const parts: Uint8Array[] = [];
  for (let index = 0; index * TILE_WIDTH < count; index++) {
    parts.push(await store.readTile(tilePath(tileOfTree(1, index, size))));
  }
  return Buffer.concat(parts).subarray(0, count * HASH_BYTES);
}

/** Bytes of the document for the hashes of left out tiles. */
function tileBytes(events: number): number {
  return base64Length(Math.floor(events / TILE_WIDTH) * HASH_BYTES);
}

interface ContentBlocks {
  readonly blocks: readonly string[];
  readonly firsts: readonly string[];
  readonly leftOut: number;
}

/** Packs the first contents of `named` that fit, sorted by digest. */
async function contentBlocks(
  store: Pick<EventStore, 'readContent'>,
  named: ReadonlySet<Digest>,
  limitBytes: number,
): Promise<ContentBlocks> {
  const chosen: { readonly digest: Digest; readonly bytes: Uint8Array }[] = [];
  let [used, uncompressed, leftOut] = [0, 0, 0];
  for (const digest of named) {
    const bytes = store.readContent(digest);
    if (bytes === undefined) continue;
    // Compressed alone: together they take less.
    const size = base64Length((await compressed(bytes)).length + HASH_BYTES + BLOCK_LENGTH_BYTES);
    const blocks = Math.ceil((uncompressed + bytes.length) / CONTENT_BLOCK_BYTES);
    if (used + size + blocks * (BLOCK_TAG_BYTES + FIRST_BYTES) > limitBytes) leftOut++;
    else {
      used += size;
      uncompressed += bytes.length;
      chosen.push({ digest, bytes });
    }
  }
  chosen.sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const blocks: string[] = [];
  const firsts: string[] = [];
  for (let at = 0; at < chosen.length; ) {
    const parts: Uint8Array[] = [];
    firsts.push(chosen[at]?.digest ?? '');
    for (let size = 0; at < chosen.length && size < CONTENT_BLOCK_BYTES; at++) {
      const { digest, bytes } = chosen[at] as (typeof chosen)[number];
      parts.push(hashFromDigest(digest), joined([bytes]));
      size += bytes.length;
    }
    blocks.push(base64(await compressed(Buffer.concat(parts))));
  }
  return { blocks, firsts, leftOut };
}

/** Joins parts, each after its length. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(BLOCK_LENGTH_BYTES);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}
