import { readFileSync } from 'node:fs';
import type { Digest, ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { fixturePath } from '../support/fixtures.js';

/** An image of an archive as expected.json tells it; `manifest` only where the archive names it as OCI does. */
export interface ExpectedImage {
  readonly id: string;
  readonly references: readonly string[];
  readonly parent: string;
  readonly diffIds: readonly string[];
  readonly chainId: string;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly manifest?: string;
}

/** What each archive of the fixtures holds, by file name. */
export const expectedArchives = JSON.parse(readFileSync(fixturePath('archives', 'expected.json'), 'utf8')) as Readonly<
  Record<string, readonly ExpectedImage[]>
>;

/** Path of an archive of the fixtures. */
export function archivePath(name: string): string {
  return fixturePath('archives', name);
}

/** Bytes of an archive of the fixtures. */
export function archiveBytes(name: string): Buffer {
  return readFileSync(archivePath(name));
}

/** The manifests that the images of a store came with, the first one first, as the log tells it. */
export async function manifestsIn(store: EventStore): Promise<Map<ImageId, Digest[]>> {
  const manifests = new Map<ImageId, Digest[]>();
  for await (const event of store.log.read({ filter: { type: 'ManifestAdded' } })) {
    if (event.type !== 'ManifestAdded' || !store.map().has(event.image)) continue;
    manifests.set(event.image, [...(manifests.get(event.image) ?? []), event.manifest.digest]);
  }
  return manifests;
}

/** The images of a store in the form of expected.json, each with its first manifest when it came with one. */
export async function imagesIn(store: EventStore): Promise<ExpectedImage[]> {
  const manifests = await manifestsIn(store);
  return [...store.map().keys()].sort().map((id) => {
    const image = store.get(id);
    const manifest = manifests.get(id)?.[0];
    return {
      id,
      references: store.references(id),
      parent: image.parent,
      diffIds: [...image.rootFS.diffIds],
      chainId: image.rootFS.chainID(),
      os: image.os,
      architecture: image.architecture,
      ...(image.variant === '' ? {} : { variant: image.variant }),
      ...(manifest === undefined ? {} : { manifest }),
    };
  });
}

/** Images without their manifests: what every format of archive tells. */
export function withoutManifests(images: readonly ExpectedImage[]): ExpectedImage[] {
  return images.map(({ manifest: _, ...image }) => image);
}

/** Images without their parents, which the OCI image layout has no place for. */
export function withoutParents(images: readonly ExpectedImage[]): ExpectedImage[] {
  return images.map((image) => ({ ...image, parent: '' }));
}
