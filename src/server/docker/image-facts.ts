import { isStoreError } from '../../errors.js';
import { containerConfigCodec, type ContainerConfig } from '../../model/container-config.js';
import type { Descriptor, Digest, ImageId } from '../../model/digest.js';
import type { Image } from '../../model/image.js';
import type { Platform } from '../../model/platform.js';
import { createChainIds } from '../../model/rootfs.js';
import { instantOf, type Timestamp, ZERO_TIMESTAMP } from '../../model/timestamp.js';
import { imageNames, type ImageSource, type LayerTable } from './image-source.js';

/** Settings that are of a container, not of an image: gone since 1.50. */
const OF_CONTAINERS: ReadonlySet<string> = new Set([
  'Hostname',
  'Domainname',
  'AttachStdin',
  'AttachStdout',
  'AttachStderr',
  'Tty',
  'OpenStdin',
  'StdinOnce',
  'Image',
  'NetworkDisabled',
  'MacAddress',
  'StopTimeout',
]);

/** Returns an image as `docker inspect` shows it. */
export function imageFacts(source: ImageSource, id: ImageId, lastTagTime: Timestamp, minor: number): object {
  const image = source.get(id);
  const { tags, digests } = imageNames(source.references(id));
  const size = Number(image.details?.size ?? 0);
  const { variant, osVersion, rootFS } = image;
  return {
    Id: id,
    RepoTags: tags,
    RepoDigests: digests,
    Parent: image.parent,
    Comment: image.comment,
    ...createdOf(image, minor),
    ...(minor < 45 ? { Container: image.container, ContainerConfig: settings(image.containerConfig, minor) } : {}),
    DockerVersion: image.dockerVersion,
    Author: image.author,
    Config: image.config === undefined ? null : settings(image.config, minor),
    Architecture: image.architecture,
    ...(variant === '' ? {} : { Variant: variant }),
    Os: image.os,
    ...(osVersion === '' ? {} : { OsVersion: osVersion }),
    Size: size,
    ...(minor < 44 ? { VirtualSize: size } : {}),
    GraphDriver: { Data: null, Name: image.details?.driver ?? '' },
    RootFS: { Type: rootFS.type, ...(rootFS.diffIds.length === 0 ? {} : { Layers: rootFS.diffIds }) },
    Metadata: { LastTagTime: lastTagTime },
  };
}

function createdOf({ created }: Image, minor: number): { readonly Created?: Timestamp } {
  if (created !== undefined) return { Created: created };
  return minor < 44 ? { Created: ZERO_TIMESTAMP } : {};
}

function settings(config: ContainerConfig, minor: number): unknown {
  const all = JSON.parse(containerConfigCodec.encode(config)) as Readonly<Record<string, unknown>>;
  return minor < 50 ? all : Object.fromEntries(Object.entries(all).filter(([name]) => !OF_CONTAINERS.has(name)));
}

/** The steps of a parent that has none, or is not there, have no ids. */
function parentOf(source: ImageSource, id: ImageId): ImageId | '' {
  try {
    return source.getParent(id);
  } catch (error) {
    if (isStoreError(error) && error.kind === 'NotFound') return '';
    throw error;
  }
}

/** A build step as `docker history` shows it. */
interface HistoryStep {
  readonly Comment: string;
  readonly Created: number;
  readonly CreatedBy: string;
  Id: string;
  readonly Size: number;
  Tags: readonly string[] | null;
}

/** Returns the build steps of an image, last first; those of its parents have their ids. */
export function historyOf(source: ImageSource, id: ImageId): readonly HistoryStep[] {
  const image = source.get(id);
  const layers = source.layers.map();
  const chains = createChainIds(image.rootFS.diffIds);
  const steps = image.history.map(({ comment, created, createdBy, emptyLayer }): HistoryStep => {
    const chain = emptyLayer ? undefined : chains.shift();
    const size = chain === undefined ? 0 : (layers.get(chain)?.diffSize ?? 0);
    const seconds = instantOf(created ?? ZERO_TIMESTAMP).seconds;
    return { Comment: comment, Created: seconds, CreatedBy: createdBy, Id: '<missing>', Size: size, Tags: null };
  });
  steps.reverse();
  let at: ImageId | '' = id;
  for (const step of steps) {
    step.Id = at;
    const { tags } = imageNames(source.references(at));
    if (tags.length > 0) step.Tags = tags;
    at = parentOf(source, at);
    if (at === '') break;
  }
  return steps;
}

/** The manifest of an image and what it leads to, as Docker's API has it since 1.47. */
interface ManifestSummary {
  readonly ID: Digest;
  readonly Descriptor: Descriptor;
  /** Whether its layers are here: those of a past image may be gone. */
  readonly Available: boolean;
  readonly Size: { readonly Content: number; readonly Total: number };
  readonly Kind: 'image';
  readonly ImageData: {
    readonly Platform: Platform;
    readonly Containers: readonly string[];
    /** Layers are kept as they came. */
    readonly Size: { readonly Unpacked: 0 };
  };
}

/** Returns the manifests with which an image came; `present` are the layers of the store now. */
export function manifestsOf(source: ImageSource, image: Image, present: LayerTable): readonly ManifestSummary[] {
  const { os, architecture, variant } = image.platform();
  const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) };
  const isAvailable = createChainIds(image.rootFS.diffIds).every((chain) => present.has(chain));
  return source.manifests(image.id()).map(({ manifest, layers }): ManifestSummary => {
    const bytes = layers.reduce((sum, { size }) => sum + size, manifest.size + image.rawJSON().length);
    return {
      ID: manifest.digest,
      Descriptor: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size },
      Available: isAvailable,
      Size: { Content: bytes, Total: bytes },
      Kind: 'image',
      ImageData: { Platform: platform, Containers: [], Size: { Unpacked: 0 } },
    };
  });
}
