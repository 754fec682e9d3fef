import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import type { Descriptor, Digest } from '../../../src/model/digest.js';

const BLOCK = 512;
const MIB = 1024 * 1024;
const FILE_BYTES = 4 * MIB;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CHUNK = new Uint8Array(256 * 1024);

/** Vocabulary of compressible layers: such text compresses to somewhat more than half. */
const WORDS = 4_096;
const WORD_BYTES = 6;
const GZIP_LEVEL = 1;
const ZSTD = ['--quiet', '--stdout', '-1'] as const;

/** Shape of an archive. */
export interface ArchiveShape {
  readonly layers: number;
  /** Bytes of regular files per layer, rounded up to files of 4 MiB. */
  readonly layerBytes: number;
  /** Determines the bytes. */
  readonly seed: number;
  /**
   * Layer compression, done in memory, `zstd` by the program of that name; default `none`, with
   * incompressible files.
   */
  readonly compression?: 'none' | 'gzip' | 'zstd' | undefined;
  /** What is in the files; default `text` if layers are compressed, else `random`. */
  readonly content?: 'text' | 'random' | undefined;
}

/** A blob or document and what names it. */
export interface ImagePart {
  readonly descriptor: Descriptor;
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** An image as registries have it. */
export interface RegistryImage {
  /** Layers, then the config. */
  readonly blobs: readonly ImagePart[];
  readonly manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array };
}

/** An archive of `docker save` before Docker 25; each image has its own plain layer. */
export interface PlainImages {
  readonly images: number;
  /** Bytes of the one file in each layer. */
  readonly fileBytes: number;
  readonly seed: number;
}

/** Returns the name of the `index`-th image of `writePlainImages`. */
export function plainImageName(index: number): string {
  return `bench/plain:${index}`;
}

/** Writes an archive without index.json, which every tool reads in the same way. Streams layers. */
export async function writePlainImages(path: string, { images, fileBytes, seed }: PlainImages): Promise<void> {
  const parts = Array.from({ length: images }, (_, index) => {
    const file = {
      name: `srv/${index}.bin`,
      size: fileBytes,
      bytes: () => randomBytesOf(`${seed} ${index}`, fileBytes),
    };
    const layer = plainLayer([file]);
    return { layer, config: configOf([layer]) };
  });
  const manifest = parts.map(({ layer, config }, index) => {
    return { Config: config.name, RepoTags: [plainImageName(index)], Layers: [layer.name] };
  });
  const files = parts.flatMap(({ layer, config }) => [layer, config]);
  await writeAll(path, tarOf([...files, textFile('manifest.json', JSON.stringify(manifest))]));
}

/** Returns the total uncompressed bytes of regular files in the layers. */
export function bytesOfFiles({ layers, layerBytes }: ArchiveShape): number {
  return layers * Math.ceil(layerBytes / FILE_BYTES) * FILE_BYTES;
}

/** Writes the layers of an image into files below `folder`, named by their digests. */
export async function writeRandomImage(folder: string, shape: ArchiveShape): Promise<RegistryImage> {
  const layers: LayerFile[] = [];
  for (let index = 0; index < shape.layers; index++) {
    const { bytes, ...layer } = layerFile(shape, index);
    await writeAll(join(folder, basename(layer.name)), bytes());
    // One layer in memory at a time.
    layers.push({ ...layer, bytes: () => [] });
  }
  return registryImage(layers, ({ name }) => {
    return createReadStream(join(folder, basename(name)), { highWaterMark: MIB });
  });
}

/** Returns images with one plain layer of one file each, in memory. */
export function smallImages({ images, fileBytes, seed }: PlainImages): RegistryImage[] {
  return Array.from({ length: images }, (_, index) => {
    const bytes = (): Iterable<Uint8Array> => randomBytesOf(`${seed} ${index}`, fileBytes);
    const layer = plainLayer([{ name: `srv/${index}.bin`, size: fileBytes, bytes }]);
    const whole = Buffer.concat([...layer.bytes()]);
    return registryImage([layer], () => Readable.from([whole]));
  });
}

function registryImage(
  layers: readonly LayerFile[],
  read: (layer: LayerFile) => AsyncIterable<Uint8Array>,
): RegistryImage {
  const config = configOf(layers);
  const manifest = blob(JSON.stringify(manifestOf(config, layers)));
  return {
    blobs: [
      ...layers.map((layer) => ({ descriptor: descriptor(layer, layer.mediaType), read: () => read(layer) })),
      {
        descriptor: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
        read: () => Readable.from(config.bytes()),
      },
    ],
    manifest: { descriptor: descriptor(manifest, MANIFEST), bytes: Buffer.concat([...manifest.bytes()]) },
  };
}

interface TarFile {
  readonly name: string;
  readonly size: number;
  readonly bytes: () => Iterable<Uint8Array>;
}

/**
 * Writes an archive like `docker save` of Docker 25: one image, blobs by digest, manifest.json,
 * index.json and oci-layout. Streams plain layers, so memory is small. Returns its size in bytes.
 */
export async function writeRandomArchive(path: string, shape: ArchiveShape): Promise<number> {
  const layers = Array.from({ length: shape.layers }, (_, index) => layerFile(shape, index));
  const config = configOf(layers);
  const manifest = blob(JSON.stringify(manifestOf(config, layers)));
  const documents = {
    'index.json': { schemaVersion: 2, manifests: [descriptor(manifest, MANIFEST)] },
    'manifest.json': [{ Config: config.name, RepoTags: ['bench/random:1'], Layers: layers.map(({ name }) => name) }],
    'oci-layout': { imageLayoutVersion: '1.0.0' },
  };
  const files = Object.entries(documents).map(([name, value]) => textFile(name, JSON.stringify(value)));
  return writeAll(path, tarOf([...layers, config, manifest, ...files]));
}

function configOf(layers: readonly LayerFile[]): TarFile {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
  return blob(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs }));
}

function manifestOf(config: TarFile, layers: readonly LayerFile[]): object {
  return {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((layer) => descriptor(layer, layer.mediaType)),
  };
}

function descriptor({ name, size }: Pick<TarFile, 'name' | 'size'>, mediaType: string): Descriptor {
  return { mediaType, digest: `sha256:${basename(name)}` as Digest, size };
}

interface LayerFile extends TarFile {
  readonly diffId: string;
  readonly mediaType: string;
}

/** Returns a layer named by its digest; a plain one is generated twice, to hash and to write. */
function layerFile({ layerBytes, seed, compression = 'none', content }: ArchiveShape, index: number): LayerFile {
  const isRandom = (content ?? (compression === 'none' ? 'random' : 'text')) === 'random';
  // Identical files compress like distinct ones: a gzip window does not span two files.
  const text = isRandom ? [] : [...randomTextOf(`${seed} ${index}`, FILE_BYTES)];
  const files = Array.from({ length: Math.ceil(layerBytes / FILE_BYTES) }, (_, at) => ({
    name: `srv/data/${index}-${at}.bin`,
    size: FILE_BYTES,
    bytes: () => (isRandom ? randomBytesOf(`${seed} ${index} ${at}`, FILE_BYTES) : text),
  }));
  const plain = plainLayer(files);
  if (compression === 'none') return plain;
  const compressed = [compressedBy(compression, Buffer.concat([...plain.bytes()]))];
  const { hex, size } = hashOf(compressed);
  const mediaType = `${plain.mediaType}+${compression}`;
  return { name: `blobs/sha256/${hex}`, size, bytes: () => compressed, diffId: plain.diffId, mediaType };
}

function plainLayer(files: readonly TarFile[]): LayerFile {
  const bytes = (): Iterable<Uint8Array> => tarOf(files);
  const { hex, size } = hashOf(bytes());
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  return { name: `blobs/sha256/${hex}`, size, bytes, diffId: `sha256:${hex}`, mediaType };
}

function compressedBy(compression: 'gzip' | 'zstd', bytes: Uint8Array): Uint8Array {
  if (compression === 'gzip') return gzipSync(bytes, { level: GZIP_LEVEL });
  return execFileSync('zstd', ZSTD, { input: bytes, maxBuffer: bytes.length + MIB });
}

function hashOf(chunks: Iterable<Uint8Array>): { readonly hex: string; readonly size: number } {
  const hash = createHash('sha256');
  let size = 0;
  for (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { hex: hash.digest('hex'), size };
}

function blob(text: string): TarFile {
  return textFile(`blobs/sha256/${createHash('sha256').update(text).digest('hex')}`, text);
}

function textFile(name: string, text: string): TarFile {
  const bytes = new TextEncoder().encode(text);
  return { name, size: bytes.length, bytes: () => [bytes] };
}

function* randomBytesOf(seed: string, size: number): Generator<Uint8Array> {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  for (let left = size; left > 0; left -= CHUNK.length)
    yield cipher.update(CHUNK.subarray(0, Math.min(left, CHUNK.length)));
}

function* randomTextOf(seed: string, size: number): Generator<Uint8Array> {
  const words = Buffer.concat([...randomBytesOf('words', WORDS * WORD_BYTES)]);
  for (const draws of randomBytesOf(seed, Math.ceil(size / WORD_BYTES) * 2)) {
    const text = Buffer.allocUnsafe((draws.length / 2) * WORD_BYTES);
    for (let at = 0; at < draws.length / 2; at++) {
      const word = (((draws[2 * at] ?? 0) << 8) | (draws[2 * at + 1] ?? 0)) % WORDS;
      words.copy(text, at * WORD_BYTES, word * WORD_BYTES, (word + 1) * WORD_BYTES);
    }
    const rest = Math.min(size, text.length);
    size -= rest;
    yield text.subarray(0, rest);
  }
}

function* tarOf(files: readonly TarFile[]): Generator<Uint8Array> {
  for (const { name, size, bytes } of files) {
    yield header(name, size);
    yield* bytes();
    yield new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
  }
  yield new Uint8Array(2 * BLOCK);
}

/** Returns the ustar header (POSIX.1-1988) of a regular file. */
function header(name: string, size: number): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  block.write('0000644\0' + '0000000\0' + '0000000\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('14000000000\0', 136);
  block.write(' '.repeat(8), 148);
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

async function writeAll(path: string, chunks: Iterable<Uint8Array>): Promise<number> {
  const stream = createWriteStream(path);
  let size = 0;
  for (const chunk of chunks) {
    size += chunk.length;
    if (!stream.write(chunk)) await once(stream, 'drain');
  }
  stream.end();
  await finished(stream);
  return size;
}
