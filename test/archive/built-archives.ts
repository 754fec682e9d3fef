import { createHash } from 'node:crypto';
import { buildTar, type BuiltEntry } from '../support/build-tar.js';

/** One image for a test's archive, made of one file for each layer. */
export interface BuiltImage {
  readonly id: string;
  readonly config: Buffer;
  /** Plain tars, from the bottom up. */
  readonly layers: readonly Buffer[];
}

/** A descriptor, as JSON documents have it. */
export interface BuiltDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: unknown;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const OCI = 'application/vnd.oci.image';
export const LAYOUT: BuiltEntry = { name: 'oci-layout', body: '{"imageLayoutVersion":"1.0.0"}' };

export function digest(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function blobName(bytes: Uint8Array | string): string {
  return `blobs/sha256/${digest(bytes).slice(7)}`;
}

/** An entry that holds `bytes` as a blob of an OCI layout. */
export function blob(bytes: Uint8Array | string): BuiltEntry {
  return { name: blobName(bytes), body: bytes };
}

export function descriptor(mediaType: string, bytes: Uint8Array | string, more: object = {}): BuiltDescriptor {
  return { mediaType, digest: digest(bytes), size: Buffer.byteLength(bytes), ...more };
}

/** An image with a layer for each of `files`; `more` goes into its config. */
export async function buildImage(files: readonly string[], more: object = {}): Promise<BuiltImage> {
  const layers = await Promise.all(files.map((file) => buildTar([{ name: file, body: `${file}\n` }])));
  const rootfs = { type: 'layers', diff_ids: layers.map(digest) };
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs, ...more }));
  return { id: digest(config), config, layers };
}

/** The files of a docker archive of `images`: config.N.json, N.M.tar and manifest.json with `changes` to its entries. */
export function dockerEntries(images: readonly BuiltImage[], changes: readonly object[] = []): BuiltEntry[] {
  const files = images.flatMap(({ config, layers }, at): BuiltEntry[] => [
    { name: `config.${at}.json`, body: config },
    ...layers.map((body, layer) => ({ name: `${at}.${layer}.tar`, body })),
  ]);
  const documents = images.map(({ layers }, at) => ({
    Config: `config.${at}.json`,
    RepoTags: [`built:${at}`],
    Layers: layers.map((_, layer) => `${at}.${layer}.tar`),
    ...changes[at],
  }));
  return [...files, { name: 'manifest.json', body: JSON.stringify(documents) }];
}

/** The manifest of an image whose layers are plain. */
export function manifestOf({ config, layers }: BuiltImage, more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: descriptor(`${OCI}.config.v1+json`, config),
    layers: layers.map((layer) => descriptor(`${OCI}.layer.v1.tar`, layer)),
    ...more,
  });
}

/** The blobs of `images` and their manifests, each once. */
export function ociBlobs(images: readonly BuiltImage[], documents: readonly string[]): BuiltEntry[] {
  const all = [...images.flatMap(({ config, layers }) => [config, ...layers]), ...documents].map(blob);
  return [...new Map(all.map((entry) => [entry.name, entry])).values()];
}

export function indexOf(manifests: readonly BuiltDescriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests });
}

export function manifestDescriptor(manifest: string, more: object = {}): BuiltDescriptor {
  return descriptor(`${OCI}.manifest.v1+json`, manifest, more);
}

/** `{ annotations }` that name an entry of index.json as containerd does. */
export function named(name: string): { readonly annotations: Readonly<Record<string, string>> } {
  return { annotations: { 'io.containerd.image.name': name } };
}

/** An OCI layout of one image called tiny:1. */
export async function ociEntries(image: BuiltImage): Promise<BuiltEntry[]> {
  const manifest = manifestOf(image);
  const index = indexOf([manifestDescriptor(manifest, named('docker.io/library/tiny:1'))]);
  return [LAYOUT, ...ociBlobs([image], [manifest]), { name: 'index.json', body: index }];
}
