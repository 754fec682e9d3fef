import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type ContentName, type Digest, digestOf, type ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { PushResult } from '../../src/store/registry-store.js';
import type { WriteOptions } from '../../src/store/store.js';
import { buildTar } from './build-tar.js';
import { bytesOf } from './text-bytes.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const EMPTY = 'application/vnd.oci.empty.v1+json';

/** What a document says about content. */
export interface Entry {
  readonly mediaType: string;
  readonly digest: ContentName;
  readonly size: number;
}

/** A manifest or index to push, and the blobs to upload before it. */
export interface Pushable extends Entry {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly blobs: readonly Uint8Array[];
}

/** An image to push. */
export interface PushableImage extends Pushable {
  readonly id: ImageId;
  readonly architecture: string;
}

/** What differs from the image that a name makes. */
interface ImageVariant {
  readonly architecture?: string;
  /** Files, one in each layer. */
  readonly files?: readonly string[];
  readonly diffIds?: readonly string[];
  /** How descriptors name content; default by SHA-256. */
  readonly nameOf?: (bytes: Uint8Array) => ContentName;
  /** More layers, which are not uploaded. */
  readonly absent?: readonly Entry[];
}

/** The SHA-512 name of content. */
export function sha512Of(bytes: Uint8Array): ContentName {
  return `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
}

/** Describes content. */
export function entryOf(
  mediaType: string,
  bytes: Uint8Array,
  nameOf: (bytes: Uint8Array) => ContentName = digestOf,
): Entry {
  return { mediaType, digest: nameOf(bytes), size: bytes.length };
}

/** Builds an image that differs from that of any other name. */
export async function imageNamed(name: string, variant: ImageVariant = {}): Promise<PushableImage> {
  const { architecture = 'amd64', files = [name], nameOf = digestOf, absent = [] } = variant;
  const tars = await Promise.all(files.map((body) => buildTar([{ name: 'file', body }])));
  const layers = tars.map((tar) => new Uint8Array(gzipSync(tar, { level: 1 })));
  const rootfs = { type: 'layers', diff_ids: variant.diffIds ?? tars.map((tar) => digestOf(tar)) };
  const config = bytesOf(JSON.stringify({ architecture, os: 'linux', config: { Labels: { name } }, rootfs }));
  const document = {
    config: entryOf(OCI_CONFIG, config, nameOf),
    layers: [...layers.map((layer) => entryOf(OCI_LAYER, layer, nameOf)), ...absent],
  };
  return { ...pushable(OCI_MANIFEST, document, [config, ...layers]), id: digestOf(config) as ImageId, architecture };
}

/** Builds an index of images, or of indexes, in order. */
export function indexOf(children: readonly (Pushable & { readonly architecture?: string })[]): Pushable {
  const manifests = children.map(({ mediaType, digest, size, architecture }) => ({
    ...{ mediaType, digest, size },
    ...(architecture === undefined ? {} : { platform: { os: 'linux', architecture } }),
  }));
  return pushable(OCI_INDEX, { manifests }, []);
}

/** Builds a signature of `subject`. */
export function signatureOf(subject: Entry, text = 'signed'): Pushable {
  const artifactType = 'application/vnd.example.signature';
  const [config, layer] = [bytesOf('{}'), bytesOf(text)];
  const document = { artifactType, config: entryOf(EMPTY, config), layers: [entryOf(artifactType, layer)] };
  const { mediaType, digest, size } = subject;
  return pushable(OCI_MANIFEST, { ...document, subject: { mediaType, digest, size } }, [config, layer]);
}

/** Makes a manifest or index of the rest of its document. */
export function pushable(mediaType: string, document: object, blobs: readonly Uint8Array[]): Pushable {
  const bytes = bytesOf(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
  return { mediaType, bytes, digest: digestOf(bytes), size: bytes.length, blobs };
}

/** Uploads a blob to a repository. */
export async function stage(
  store: EventStore,
  repository: string,
  bytes: Uint8Array,
  name: ContentName = digestOf(bytes),
): Promise<void> {
  const upload = await store.registry.uploads.start(repository, 'ada');
  await upload.append(only(bytes));
  await upload.finish(name);
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Uploads the blobs of a manifest, and pushes it. */
export async function push(
  store: EventStore,
  repository: string,
  pushed: Pushable,
  { tags, name, ...options }: WriteOptions & { readonly tags?: readonly string[]; readonly name?: ContentName } = {},
): Promise<PushResult> {
  for (const blob of pushed.blobs) await stage(store, repository, blob);
  const { mediaType, bytes } = pushed;
  return store.registry.push({ repository, mediaType, bytes, tags, name }, { via: 'registry', ...options });
}
