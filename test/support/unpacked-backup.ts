import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../../src/model/digest.js';
import { filesBelow } from './filesystem-copy.js';

const PACKS = 'content/packs/';
const MAGIC = 'imagelog pack 1\n';

/** The contents of a pack by their digits, read by the page of the format and not by the code of the store. */
export function contentsOfPack(pack: Buffer): Map<string, Buffer> {
  if (pack.toString('latin1', 0, 16) !== MAGIC) throw new Error('no pack');
  const count = pack.readUInt32BE(16);
  const contents = new Map<string, Buffer>();
  let offset = 20 + 36 * count;
  for (let at = 0; at < count; at++) {
    const row = 20 + 36 * at;
    const end = offset + pack.readUInt32BE(row + 32);
    contents.set(pack.toString('hex', row, row + 32), pack.subarray(offset, end));
    offset = end;
  }
  if (offset !== pack.length) throw new Error(`the pack has ${pack.length} bytes, expected ${offset}`);
  return contents;
}

/**
 * The files of a backup, with each content of a pack as `content/sha256/HEX`. Runs that continue a
 * backup have other packs than one that begins it, and the same of these. Sorted. Throws for content that
 * is there twice or has another digest, and for packs of another name.
 */
export async function unpackedBackup(directory: string): Promise<Map<string, Uint8Array>> {
  const files = await filesBelow(directory);
  for (const [path, bytes] of [...files]) {
    if (!path.startsWith(PACKS)) continue;
    files.delete(path);
    const pack = Buffer.from(bytes);
    const head = pack.subarray(0, 20 + 36 * pack.readUInt32BE(16));
    if (sha256(head) !== path.slice(PACKS.length)) throw new Error(`${path} has another name than its head`);
    for (const [digits, content] of contentsOfPack(pack)) {
      const loose = `content/sha256/${digits}`;
      if (files.has(loose)) throw new Error(`${loose} is there twice`);
      if (sha256(content) !== digits) throw new Error(`${loose} of ${path} has other bytes`);
      files.set(loose, content);
    }
  }
  return new Map([...files].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The digests of all content in a backup. */
export async function contentOfBackup(directory: string): Promise<Digest[]> {
  return [...(await unpackedBackup(directory)).keys()]
    .filter((path) => path.startsWith('content/'))
    .map((path) => `sha256:${path.slice(-64)}` as Digest);
}

/** The paths of the packs of a backup. */
export async function packsOfBackup(directory: string): Promise<string[]> {
  return [...(await filesBelow(directory)).keys()].filter((path) => path.startsWith(PACKS)).sort();
}

/** Makes a backup what it was before packs: version 1, and a file for each content. */
export async function makeVersion1(directory: string): Promise<void> {
  const files = await unpackedBackup(directory);
  await rm(directory, { recursive: true });
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    const text = Buffer.from(bytes).toString('latin1').replace('"version": 2', '"version": 1');
    await writeFile(join(directory, path), path === 'imagelog.json' ? text : bytes);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
