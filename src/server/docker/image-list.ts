import { setImmediate as turn } from 'node:timers/promises';
import { isStoreError } from '../../errors.js';
import type { ChainId, Descriptor, Digest } from '../../model/digest.js';
import { type Image, labelsIn } from '../../model/image.js';
import type { Platform } from '../../model/platform.js';
import { familiarReference, formatReference, parseReference } from '../../model/reference.js';
import { globMatcher } from '../../model/reference-pattern.js';
import { createChainIds } from '../../model/rootfs.js';
import { byInstant, type Instant, instantOf, ZERO_TIMESTAMP } from '../../model/timestamp.js';
import type { ListedImage } from '../../store/images.js';
import { badRequest } from './failures.js';
import { type Filters, fitsLabels, parseTime, refuseOthers, truthOf } from './filters.js';
import { findImage, imageNames, type ImageSource, type LayerTable } from './image-source.js';

/** Which images are listed, and in which shape. */
export interface ListRequest {
  /** Also those that only others are made from. */
  readonly all: boolean;
  readonly filters: Filters;
  /** Whether sizes of shared layers are counted. */
  readonly withShared: boolean;
  /** Layers of the store now, if each image is listed with its manifests. */
  readonly withManifests?: LayerTable | undefined;
  /** Containers of each image: none, or not counted. */
  readonly containers: 0 | -1;
  readonly minor: number;
  readonly nowMs: number;
}

/** An image of a list, as Docker's API has it. */
interface ImageSummary {
  readonly Containers: number;
  readonly Created: number;
  readonly Id: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Manifests?: ReturnType<typeof manifestsOf>;
  readonly ParentId: string;
  readonly RepoDigests: readonly string[] | null;
  readonly RepoTags: readonly string[] | null;
  SharedSize: number;
  readonly Size: number;
  readonly VirtualSize?: number;
}

const KEYS = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until'];
/** Images between two turns of other requests: each is a read of its config. */
const IMAGES_A_TURN = 200;
/** The time of an image without one is Go's zero time. */
const NO_TIME = instantOf(ZERO_TIMESTAMP);

/** Lists images, newest first. @throws {HttpFailure} 400 for a filter, 404 for the image that it names */
export async function listImages(source: ImageSource, request: ListRequest): Promise<readonly ImageSummary[]> {
  const { filters } = request;
  refuseOthers(filters, KEYS);
  const isDangling = truthOf(filters, 'dangling');
  const isInTime = timeTest(source, request);
  const showsReference = referenceTest(filters);
  const layers = source.layers.map();
  const listed: { readonly summary: ImageSummary; readonly image: Image | undefined }[] = [];
  let read = 0;
  for (const entry of source.imageEntries().sort(newestFirst)) {
    if (!isInTime(entry.created ?? NO_TIME)) continue;
    const references = source.references(entry.id).filter(showsReference);
    if (!isShown(source, { entry, references, isDangling, request })) continue;
    read += 1;
    if (read % IMAGES_A_TURN === 0) await turn();
    const image = imageOf(source, entry);
    // It was deleted while others were read.
    if (image === 'gone') continue;
    const labels = image === undefined ? null : labelsIn(image.rawJSON());
    if (!fitsLabels(filters, labels ?? {})) continue;
    const { withManifests: present } = request;
    const manifests = image === undefined || present === undefined ? [] : manifestsOf(source, image, present);
    const summary = summaryOf(entry, { labels, parent: image?.parent ?? '', references }, request);
    listed.push({ summary: manifests.length === 0 ? summary : { ...summary, Manifests: manifests }, image });
  }
  if (request.withShared) countShared(listed, layers);
  return listed.map(({ summary }) => summary);
}

function newestFirst(a: ListedImage, b: ListedImage): number {
  return byInstant(b.created ?? NO_TIME, a.created ?? NO_TIME) || (a.id < b.id ? -1 : 1);
}

function timeTest(source: ImageSource, { filters, nowMs }: ListRequest): (created: Instant) => boolean {
  const named = (key: string): Instant[] =>
    (filters.get(key) ?? []).map((name) => {
      const { created } = source.get(findImage(source, name).id);
      return created === undefined ? NO_TIME : instantOf(created);
    });
  const [before, since] = [named('before'), named('since')];
  const until = untilOf(filters, nowMs);
  return (created) =>
    before.every((than) => byInstant(created, than) < 0) &&
    since.every((than) => byInstant(created, than) > 0) &&
    (until === undefined || byInstant(created, until) <= 0);
}

/** Returns the filter `until`. @throws {HttpFailure} 400 for several */
export function untilOf(filters: Filters, nowMs: number): Instant | undefined {
  const [until, ...others] = filters.get('until') ?? [];
  if (others.length > 0) throw badRequest('more than one until filter specified');
  if (until === undefined) return undefined;
  const nanos = parseTime(until, nowMs);
  const fraction = ((nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((nanos - fraction) / 1_000_000_000n), nanoseconds: Number(fraction) };
}

// As FamiliarMatch of Docker's references: the short form, with its tag or without.
function referenceTest(filters: Filters): (reference: string) => boolean {
  const patterns = filters.get('reference')?.map(globMatcher);
  if (patterns === undefined) return () => true;
  return (reference) => {
    const { domain, path } = parseReference(reference);
    const forms = [familiarReference(reference), familiarReference(formatReference({ domain, path }))];
    return patterns.some((matches) => forms.some(matches));
  };
}

interface Shown {
  readonly entry: ListedImage;
  readonly references: readonly string[];
  readonly isDangling: boolean | undefined;
  readonly request: ListRequest;
}

/** Without a name an image is shown if nothing is made from it, and no filter asks for a name. */
function isShown(source: ImageSource, { entry, references, isDangling, request }: Shown): boolean {
  const { all, filters } = request;
  if (references.length > 0) return isDangling !== true || references.every((name) => name.includes('@'));
  const isHead = source.children(entry.id).length === 0;
  if (isDangling === true && !isHead) return false;
  return (all || isHead) && isDangling !== false && !filters.has('reference');
}

/** Undefined for a past image whose config was erased since. */
function imageOf(source: ImageSource, { id }: ListedImage): Image | 'gone' | undefined {
  try {
    return source.get(id);
  } catch (error) {
    if (isStoreError(error, 'CONTENT_ERASED')) return undefined;
    if (isStoreError(error, 'IMAGE_NOT_FOUND')) return 'gone';
    throw error;
  }
}

function summaryOf(
  { id, created = NO_TIME, size = -1 }: ListedImage,
  {
    labels,
    parent,
    references,
  }: Pick<Image, 'parent'> & {
    readonly labels: ImageSummary['Labels'];
    readonly references: readonly string[];
  },
  { minor, containers }: ListRequest,
): ImageSummary {
  const { tags, digests } = imageNames(references);
  return {
    Containers: containers,
    Created: created.seconds,
    Id: id,
    Labels: labels,
    ParentId: parent,
    RepoDigests: shownNames(digests, references, '<none>@<none>', minor),
    RepoTags: shownNames(tags, references, '<none>:<none>', minor),
    SharedSize: -1,
    Size: size,
    ...(minor < 44 ? { VirtualSize: size } : {}),
  };
}

// Before 1.43 an image without names has these words for them, and no names of one kind are null.
function shownNames(
  names: readonly string[],
  references: readonly string[],
  none: string,
  minor: number,
): readonly string[] | null {
  if (names.length > 0 || minor >= 43) return names;
  return references.length === 0 ? [none] : null;
}

/** Sets the bytes of the layers that each image has with others of the list. */
function countShared(
  listed: readonly { readonly summary: ImageSummary; readonly image: Image | undefined }[],
  layers: ReturnType<ImageSource['layers']['map']>,
): void {
  const chains = listed.map(({ image }) => createChainIds(image?.rootFS.diffIds ?? []));
  const uses = new Map<ChainId, number>();
  for (const chain of chains.flat()) uses.set(chain, (uses.get(chain) ?? 0) + 1);
  for (const [at, { summary }] of listed.entries()) {
    const shared = (chains[at] ?? []).filter((chain) => (uses.get(chain) ?? 0) > 1);
    summary.SharedSize = shared.reduce((sum, chain) => sum + (layers.get(chain)?.diffSize ?? 0), 0);
  }
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
function manifestsOf(source: ImageSource, image: Image, present: LayerTable): readonly ManifestSummary[] {
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
