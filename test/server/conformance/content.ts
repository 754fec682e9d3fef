import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { builtEntry } from '../../support/build-tar.js';

/** The hash that digests of some content use. */
export type Algorithm = 'sha256' | 'sha512';

/** Media types of the image specification that the cases name. */
export const MEDIA = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  empty: 'application/vnd.oci.empty.v1+json',
  tar: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  foreignTar: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  foreignGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  bytes: 'application/octet-stream',
  /** Two that only these tests know. */
  note: 'application/vnd.example.imagelog.note.v1',
  seal: 'application/vnd.example.imagelog.seal.v1',
} as const;

/** Bytes and the digest by which they are asked for. */
export interface Blob {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** A descriptor of the image specification, as manifests have it. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly data?: string;
  readonly urls?: readonly string[];
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** A manifest and what a registry must know of it. */
export interface Manifest extends Blob {
  readonly mediaType: string;
  readonly subject: string | undefined;
  /** How the referrers of its subject list it. */
  readonly descriptor: Descriptor;
}

/** Returns the digest of some bytes. */
export function digestBy(algorithm: Algorithm, bytes: Uint8Array): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** A blob of these bytes. */
export function blobOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Blob {
  return { digest: digestBy(algorithm, bytes), bytes };
}

/** A blob that no other case has. */
export function randomBlob(size: number, algorithm: Algorithm = 'sha256'): Blob {
  return blobOf(randomBytes(size), algorithm);
}

/** Some bytes under a digest of others. */
export function mislabelled(size: number, algorithm: Algorithm): Blob {
  const { digest, bytes } = randomBlob(size, algorithm);
  return { digest, bytes: Buffer.concat([bytes, Buffer.from('more')]) };
}

/** What a manifest names: a blob to push before it, and its descriptor. */
export interface Part {
  /** Absent when nobody pushes it. */
  readonly blob?: Blob;
  readonly descriptor: Descriptor;
  /** Of a layer: the digest of its tar. */
  readonly diffId?: string;
}

/** A part of these bytes. */
export function partOf(bytes: Uint8Array, mediaType: string, algorithm: Algorithm = 'sha256'): Part {
  const blob = blobOf(bytes, algorithm);
  return { blob, descriptor: { mediaType, digest: blob.digest, size: bytes.length } };
}

/** A layer of one file that no other layer has. */
export function layerPart(compression: 'gzip' | 'none', algorithm: Algorithm = 'sha256'): Part {
  const tar = Buffer.concat([
    builtEntry({ name: 'number', body: randomBytes(16).toString('hex') }),
    Buffer.alloc(1024),
  ]);
  const part =
    compression === 'gzip' ? partOf(gzipSync(tar), MEDIA.gzip, algorithm) : partOf(tar, MEDIA.tar, algorithm);
  return { ...part, diffId: digestBy(algorithm, tar) };
}

/** A layer that is elsewhere, and is never pushed. */
export function foreignPart(mediaType: string): Part {
  const { digest } = randomBlob(32);
  const descriptor = { mediaType, digest, size: 123_456, urls: [`https://layers.example/${digest}`] };
  return { descriptor, diffId: randomBlob(32).digest };
}

/** The same part with its content in the descriptor. */
export function withData(part: Part): Part {
  const { blob, descriptor } = part;
  if (blob === undefined) return part;
  return { ...part, descriptor: { ...descriptor, data: Buffer.from(blob.bytes).toString('base64') } };
}

/** Returns the config of an image of these layers. */
export function configPart(layers: readonly Part[], { diffIds, fields = {}, ...platform }: ConfigOptions): Part {
  const rootfs = { type: 'layers', diff_ids: diffIds ?? layers.map(({ diffId }) => diffId) };
  const { algorithm = 'sha256', os = 'linux', architecture = 'amd64' } = platform;
  return partOf(Buffer.from(JSON.stringify({ architecture, os, rootfs, ...fields })), MEDIA.config, algorithm);
}

/** What a config says beside its layers. */
export interface ConfigOptions {
  readonly os?: string;
  readonly architecture?: string;
  /** Those of the layers, unless the config is wrong about them. */
  readonly diffIds?: readonly string[];
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly algorithm?: Algorithm;
}

/** What every manifest may have. */
export interface Extras {
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Fields that no specification knows. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Returns the manifest of an image or artifact. */
export function manifestOf(
  config: Part,
  layers: readonly Part[],
  extras: Extras = {},
  algorithm: Algorithm = 'sha256',
): Manifest {
  const body = { config: config.descriptor, layers: layers.map(({ descriptor }) => descriptor) };
  return finished(MEDIA.manifest, body, extras, algorithm, extras.artifactType ?? config.descriptor.mediaType);
}

/** Returns the index of some manifests. */
export function indexOf(
  manifests: readonly Descriptor[],
  extras: Extras = {},
  algorithm: Algorithm = 'sha256',
): Manifest {
  return finished(MEDIA.index, { manifests }, extras, algorithm, extras.artifactType);
}

function finished(
  mediaType: string,
  body: Readonly<Record<string, unknown>>,
  { artifactType, subject, annotations, fields = {} }: Extras,
  algorithm: Algorithm,
  listedType: string | undefined,
): Manifest {
  const document = { schemaVersion: 2, mediaType, artifactType, ...body, subject, annotations, ...fields };
  const blob = blobOf(Buffer.from(JSON.stringify(document)), algorithm);
  return {
    ...blob,
    mediaType,
    subject: subject?.digest,
    descriptor: {
      mediaType,
      digest: blob.digest,
      size: blob.bytes.length,
      ...(listedType === undefined ? {} : { artifactType: listedType }),
      ...(annotations === undefined ? {} : { annotations }),
    },
  };
}
