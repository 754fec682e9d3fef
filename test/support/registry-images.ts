import { gzipSync } from 'node:zlib';
import { type Digest, digestOf } from '../../src/model/digest.js';
import { buildTar } from './build-tar.js';
import type { FakeRegistry } from './fake-registry.js';

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** An entry about content. */
export interface Entry {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** An image in a fake registry. */
export interface FakeImage {
  readonly manifest: Entry;
  readonly config: Entry;
  readonly layers: readonly Entry[];
}

/** Adds an image whose layers hold these files, one each, and a tag for it. */
export async function addImage(
  registry: FakeRegistry,
  name: string,
  files: readonly (string | Uint8Array)[],
  architecture = 'amd64',
): Promise<FakeImage> {
  const [repository = '', tag = ''] = name.split(':');
  const tars = await Promise.all(files.map((body, at) => buildTar([{ name: `file-${at}`, body }])));
  const layers = tars.map((tar) => added(registry, OCI_LAYER, gzipSync(tar, { level: 1 })));
  const rootfs = { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) };
  const config = added(registry, OCI_CONFIG, JSON.stringify({ architecture, os: 'linux', rootfs }));
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
  const digest = registry.addManifest(repository, tag, document);
  return { manifest: { mediaType: OCI_MANIFEST, digest, size: JSON.stringify(document).length }, config, layers };
}

/** Adds an index of images, by architecture. */
export function addIndex(registry: FakeRegistry, name: string, images: Readonly<Record<string, FakeImage>>): Digest {
  const [repository = '', tag = ''] = name.split(':');
  const manifests = Object.entries(images).map(([architecture, { manifest }]) => ({
    ...manifest,
    platform: { os: 'linux', architecture },
  }));
  const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  return registry.addManifest(repository, tag, document);
}

/** Adds a signature of `subject`. */
export function addSignature(registry: FakeRegistry, repository: string, subject: Entry): Digest {
  const config = added(registry, 'application/vnd.oci.empty.v1+json', '{}');
  const layers = [added(registry, 'application/vnd.example.signature', 'signed')];
  const artifactType = 'application/vnd.example.signature';
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType, config, layers, subject };
  const digest = registry.addManifest(repository, 'signature', document);
  registry.manifests.delete(`${repository}/signature`);
  return digest;
}

function added(registry: FakeRegistry, mediaType: string, content: string | Uint8Array): Entry {
  const digest = registry.addBlob(content);
  return { mediaType, digest, size: Buffer.from(content).length };
}
