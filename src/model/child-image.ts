import { type ContainerConfig, newContainerConfig } from './container-config.js';
import type { DiffId } from './digest.js';
import { newHistory } from './history.js';
import { hostArchitecture } from './host.js';
import { type Image, imageFromConfig } from './image.js';

/** What a commit adds to an image. Settings that are not given are Go's zero values. */
export interface ChildConfig {
  /** Id of the container that is committed. */
  readonly containerId?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  /** The new layer; the empty layer (`EMPTY_LAYER_DIFF_ID`) adds none. */
  readonly diffId: DiffId;
  /** Settings of the container; its `cmd` becomes the history entry's `createdBy`. */
  readonly containerConfig?: Partial<ContainerConfig> | undefined;
  /** What containers of the new image start with. */
  readonly config?: Partial<ContainerConfig> | undefined;
}

/** Where a child image takes what it is not told. */
export interface ChildImageOptions {
  /** Milliseconds since the epoch, for `created`; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Architecture when the parent has none; default this machine's. */
  readonly hostArchitecture?: string | undefined;
}

/** Digest of a tar without entries: the layer of a step that changed no file. */
export const EMPTY_LAYER_DIFF_ID = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef' as DiffId;

/** Stands in `docker_version` for the version of Docker that would have made the image. */
const DOCKER_VERSION = 'library-import';

/**
 * Returns the image that a commit on top of `image` gives, for the operating system `os`: one
 * more layer unless it is the empty one, one more history entry, created now. As the Go package's NewChildImage it
 * keeps no comment of its own and does not say its parent.
 */
export function newChildImage(image: Image, child: ChildConfig, os: string, options: ChildImageOptions = {}): Image {
  const isEmptyLayer = child.diffId === EMPTY_LAYER_DIFF_ID;
  const containerConfig = newContainerConfig(child.containerConfig);
  const createdBy = (containerConfig.cmd ?? []).join(' ');
  const step = newHistory(child.author ?? '', child.comment ?? '', createdBy, isEmptyLayer, options.now);
  const { type, diffIds } = image.rootFS;
  return imageFromConfig({
    dockerVersion: DOCKER_VERSION,
    config: child.config === undefined ? undefined : newContainerConfig(child.config),
    architecture: image.baseImgArch(options.hostArchitecture ?? hostArchitecture()),
    variant: image.baseImgVariant(),
    os,
    container: child.containerId ?? '',
    containerConfig,
    author: child.author ?? '',
    created: step.created,
    rootfs: { type, diffIds: isEmptyLayer ? diffIds : [...diffIds, child.diffId] },
    history: [...image.history, step],
    osVersion: image.osVersion,
    osFeatures: image.osFeatures,
  });
}
