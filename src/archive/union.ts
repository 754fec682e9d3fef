import { StoreError } from '../errors.js';
import type { Digest, ImageId } from '../model/digest.js';
import { formatPlatform, isWanted, type Platform } from '../model/platform.js';
import { parseReference } from '../model/reference.js';
import type { ArchiveTarget } from './archive-files.js';
import {
  type ContentsBuilder,
  type PlatformManifest,
  platformManifests,
  toPlatformImages,
} from './contents-builder.js';
import type { DockerImage } from './docker-archive.js';
import type { DocumentBudget } from './documents.js';
import {
  annotatedName,
  bareReference,
  checkImageCount,
  checkNameCount,
  CONTAINERD_NAME,
  type ImageChoice,
  OCI_REF_NAME,
  requirePlatforms,
  trueReferences,
} from './names.js';
import type { IndexNode, OciChild, OciNode, OciRoot } from './oci-graph.js';

/*
 * An archive is the union of what its two parts say. manifest.json (docker save) and index.json (an
 * OCI layout) may stand in one tar, and either may name what the other does not: Docker 25 and
 * containerd list one platform in manifest.json and the whole index in index.json. The parts are
 * joined by config digest: an image is one image, a name has one target.
 */

/** Cost of one name: parsing and finding its target. */
const STEPS_PER_NAME = 5;

/** An entry of index.json with what it leads to. */
interface Entry {
  readonly child: OciChild;
  /** Every image under it, and those that are wanted. */
  readonly all: readonly PlatformManifest[];
  readonly wanted: readonly PlatformManifest[];
  /** Canonical references that its annotations give. */
  readonly references: readonly string[];
  /** Names that mean this entry though its annotations do not say so: of manifest.json, or its tag. */
  readonly joined: string[];
  /** A name without a repository. */
  readonly tag: string | undefined;
}

/** A name of manifest.json. */
interface DockerName {
  readonly reference: string;
  readonly image: DockerImage;
}

/**
 * Adds the images, artifacts and names of index.json, and the names of manifest.json, whose images
 * were added before.
 * @throws {StoreError} PLATFORM_NOT_FOUND, REFERENCE_INVALID, ARCHIVE_MANIFEST_INVALID if the parts
 *   contradict each other, ARCHIVE_LIMIT_EXCEEDED, and any image error
 */
export async function addUnion(
  contents: ContentsBuilder,
  docker: readonly DockerImage[],
  root: OciRoot,
  documents: DocumentBudget,
  choice: ImageChoice,
): Promise<void> {
  const union = new Union(contents, root, choice);
  for (const child of root.children) {
    await documents.spend(STEPS_PER_NAME);
    union.addEntry(child);
  }
  const names: DockerName[] = [];
  for (const image of docker) {
    await documents.spend(STEPS_PER_NAME * image.tags.length);
    for (const name of union.dockerNames(image)) names.push(name);
  }
  union.join(names);
  await union.addContents();
  for (const name of names) {
    await documents.spend(STEPS_PER_NAME);
    union.addDockerName(name);
  }
  union.finish(docker);
}

class Union {
  readonly #contents: ContentsBuilder;
  readonly #root: OciRoot;
  readonly #choice: ImageChoice;
  readonly #entries: Entry[] = [];
  /** The last entry of each name, as the last one counts. */
  readonly #byReference = new Map<string, Entry>();
  /** Entries by each of their images. */
  readonly #byImage = new Map<ImageId, Entry[]>();
  readonly #platforms = new Map<string, Platform>();
  readonly #named = new Set<string>();

  constructor(contents: ContentsBuilder, root: OciRoot, choice: ImageChoice) {
    this.#contents = contents;
    this.#root = root;
    this.#choice = choice;
  }

  addEntry(child: OciChild): void {
    const all = platformManifests(child.node, child.platform);
    for (const { platform } of all) this.#platforms.set(formatPlatform(platform), platform);
    const wanted = all.filter(({ platform }) => isWanted(this.#choice.platforms, platform));
    const { name, tag } = annotatedName(child.annotations, this.#choice.notice);
    const references =
      name === undefined ? [] : trueReferences(name, this.#namesOf(child.node, all), this.#choice.notice);
    const entry = { child, all, wanted, references, joined: [], tag };
    this.#entries.push(entry);
    for (const reference of references) this.#setName(reference, entry);
    for (const image of new Set(all.map(({ node }) => node.config.id))) {
      const known = this.#byImage.get(image);
      if (known === undefined) this.#byImage.set(image, [entry]);
      else known.push(entry);
    }
  }

  #namesOf(node: OciNode, all: readonly PlatformManifest[]): ReadonlySet<string> {
    const alias = this.#choice.aliasOf?.(node.descriptor.digest);
    return alias === undefined ? digestsOf(node, all) : new Set([...digestsOf(node, all), alias]);
  }

  /** The last entry of a name counts. */
  #setName(reference: string, entry: Entry): void {
    const before = this.#byReference.get(reference)?.child.node.descriptor.digest;
    if (before !== undefined && before !== entry.child.node.descriptor.digest) {
      this.#choice.notice(`skipped the name ${reference} of ${before}: a later entry of index.json has it`);
    }
    this.#byReference.set(reference, entry);
  }

  dockerNames(image: DockerImage): DockerName[] {
    this.#platforms.set(formatPlatform(image.platform), image.platform);
    if (image.tags.length === 0) return [];
    const digests = new Set<string>([image.image]);
    for (const { child, all } of this.#byImage.get(image.image) ?? []) {
      for (const digest of digestsOf(child.node, all)) digests.add(digest);
    }
    return image.tags.flatMap((tag) =>
      trueReferences(tag, digests, this.#choice.notice).map((reference) => ({ reference, image })),
    );
  }

  /** Finds the entry that each name of manifest.json means, and the names of bare tags. */
  join(names: readonly DockerName[]): void {
    for (const { reference, image } of names) {
      const entry = this.#byReference.get(reference);
      if (entry !== undefined) {
        refuseContradiction(reference, image, entry);
        continue;
      }
      const { tag } = parseReference(reference);
      const candidates = (this.#byImage.get(image.image) ?? []).filter(
        (each) => each.references.length === 0 && (each.tag === undefined || each.tag === tag),
      );
      const [only, ...others] = candidates;
      if (only === undefined || others.length > 0) continue;
      only.joined.push(reference);
      this.#byReference.set(reference, only);
    }
    for (const entry of this.#entries) {
      if (entry.references.length > 0 || entry.joined.length > 0 || entry.tag === undefined) continue;
      const reference = bareReference(entry.tag, this.#choice);
      if (reference === undefined) continue;
      entry.joined.push(reference);
      this.#byReference.set(reference, entry);
    }
  }

  async addContents(): Promise<void> {
    for (const entry of this.#entries) {
      await this.#addNode(entry);
      checkImageCount(this.#contents.imageCount, this.#choice.maxImages);
    }
  }

  /** Adds a name of manifest.json: its entry of index.json, else the image's only manifest. */
  addDockerName({ reference, image }: DockerName): void {
    const entry = this.#byReference.get(reference);
    if (entry !== undefined && entry.wanted.length > 0) {
      this.#addReference(reference, this.#targetOf(entry, image.isWanted ? image.image : undefined));
    } else if (image.isWanted) {
      this.#addReference(reference, this.#imageTarget(image.image));
    }
  }

  /** Adds the names that only index.json has, and what a caller may name. */
  finish(docker: readonly DockerImage[]): void {
    requirePlatforms(this.#choice.platforms, this.#platforms);
    for (const entry of this.#entries) {
      if (this.#isLeftOut(entry)) continue;
      const target = this.#targetOf(entry, undefined);
      for (const reference of [...entry.references, ...entry.joined]) {
        if (this.#byReference.get(reference) === entry && !this.#named.has(reference)) {
          this.#addReference(reference, target);
        }
      }
    }
    this.#addTargets(docker);
    checkNameCount(this.#named.size, this.#choice.maxReferences);
  }

  async #addNode(entry: Entry): Promise<void> {
    const { child, all, wanted } = entry;
    if (this.#isLeftOut(entry)) {
      this.#noteLeftOut(entry);
      return;
    }
    const isOptional = !this.#choice.allPlatforms && all.length > 1;
    for (const { node } of wanted) await this.#contents.addManifest(node, isOptional);
    const { node } = child;
    const left = new Set<Digest>();
    for (const each of all) {
      if (wanted.includes(each)) continue;
      left.add(each.node.descriptor.digest);
      this.#choice.notice(`skipped ${each.node.config.id}: it is for ${formatPlatform(each.platform)}`);
    }
    if (node.kind === 'manifest') {
      if (entry.references.length > 0) this.#contents.prefer(node.config.id, node.descriptor);
    } else if (node.kind === 'index' && this.#isPlain(entry)) {
      this.#contents.addIndex(node);
    } else {
      await this.#addArtifacts(child, left, new Set());
    }
  }

  /** Adds an artifact, or an index with all in it, except what belongs to manifests `left` out. */
  async #addArtifacts({ node, annotations }: OciChild, left: ReadonlySet<Digest>, seen: Set<OciNode>): Promise<void> {
    if (node.kind === 'manifest' || seen.has(node)) return;
    seen.add(node);
    const attested = annotations.get('vnd.docker.reference.digest') ?? node.subject?.digest;
    if (attested !== undefined && left.has(attested as Digest)) {
      this.#choice.notice(`skipped ${node.descriptor.digest}: it is about ${attested}, which is for another platform`);
      return;
    }
    if (node.kind === 'index') for (const child of node.children) await this.#addArtifacts(child, left, seen);
    await this.#contents.addArtifact(node);
  }

  /** An index of nothing but images is kept with the name that stands for it. */
  #isPlain(entry: Entry): boolean {
    const node = entry.child.node as IndexNode;
    return (
      entry.references.length + entry.joined.length > 0 &&
      entry.all.length > 0 &&
      node.blobs.length === 0 &&
      node.subject === undefined &&
      node.children.every((child) => child.node.kind === 'manifest')
    );
  }

  /** Whether it has images and none is wanted, or names manifests and the archive has none of them. */
  #isLeftOut({ child: { node }, all, wanted }: Entry): boolean {
    if (all.length > 0) return wanted.length === 0;
    const isBare = node.kind === 'index' && node.contains.length > 0 && node.children.length === 0;
    return isBare && this.#choice.keepsBareIndexes !== true;
  }

  #noteLeftOut({ child, all, references: [reference] }: Entry): void {
    const what = reference ?? child.node.descriptor.digest;
    if (all.length === 0) {
      this.#choice.notice(`skipped ${what}: the archive contains nothing of that index`);
      return;
    }
    const wanted = this.#choice.platforms.map(formatPlatform).join(', ');
    const found = all.map(({ platform }) => formatPlatform(platform)).join(', ');
    this.#choice.notice(`skipped ${what}: it has no image for ${wanted}, only for ${found}`);
  }

  #targetOf({ child, all, wanted }: Entry, image: ImageId | undefined): ArchiveTarget {
    const { node } = child;
    const annotations = otherAnnotations(child.annotations);
    const layout = this.#root.annotations;
    const more = {
      target: node.descriptor,
      ...(annotations === undefined ? {} : { annotations }),
      ...(Object.keys(layout).length === 0 ? {} : { layoutAnnotations: layout }),
    };
    if (node.kind === 'artifact') return more;
    const first = wanted.find((each) => each.node.config.id === image) ?? wanted[0];
    if (node.kind === 'manifest') return { image: node.config.id, ...more };
    const [platforms, allPlatforms] = [toPlatformImages(wanted), toPlatformImages(all)];
    return first === undefined ? more : { image: first.node.config.id, ...more, platforms, allPlatforms };
  }

  #imageTarget(image: ImageId): ArchiveTarget {
    const [only, ...others] = this.#contents.manifests(image);
    return { image, ...(only === undefined || others.length > 0 ? {} : { target: only.descriptor }) };
  }

  #addReference(reference: string, target: ArchiveTarget): void {
    this.#named.add(reference);
    this.#contents.addReference({ reference, ...target });
  }

  /** An image within an index has no own target; artifacts count where there is no image. */
  #addTargets(docker: readonly DockerImage[]): void {
    const entries = this.#entries.filter((entry) => !this.#isLeftOut(entry));
    const covered = new Set<ImageId>();
    for (const { child, wanted } of entries) {
      if (child.node.kind === 'index') for (const { node } of wanted) covered.add(node.config.id);
    }
    for (const entry of entries) {
      const { node } = entry.child;
      if (node.kind === 'index') this.#contents.addTarget(node.descriptor.digest, this.#targetOf(entry, undefined));
      if (node.kind !== 'manifest' || covered.has(node.config.id)) continue;
      this.#contents.addTarget(node.config.id, this.#targetOf(entry, undefined));
    }
    for (const { image } of docker.filter((each) => each.isWanted && !covered.has(each.image))) {
      this.#contents.addTarget(image, this.#imageTarget(image));
    }
    if (this.#contents.imageCount > 0) return;
    for (const entry of entries) {
      const { node } = entry.child;
      if (node.kind === 'artifact') this.#contents.addTarget(node.descriptor.digest, this.#targetOf(entry, undefined));
    }
  }
}

/** Digests that a name of `node` may carry: its own, and those of its manifests and images. */
function digestsOf(node: OciNode, all: readonly PlatformManifest[]): ReadonlySet<string> {
  const digests = new Set<string>([node.descriptor.digest]);
  for (const { node: manifest } of all) digests.add(manifest.descriptor.digest).add(manifest.config.id);
  return digests;
}

function otherAnnotations(annotations: ReadonlyMap<string, string>): Readonly<Record<string, string>> | undefined {
  const others = [...annotations].filter(([key]) => key !== CONTAINERD_NAME && key !== OCI_REF_NAME);
  return others.length === 0 ? undefined : Object.fromEntries(others);
}

function refuseContradiction(reference: string, { image }: DockerImage, { all, child }: Entry): void {
  if (all.some(({ node }) => node.config.id === image)) return;
  throw new StoreError(
    'ARCHIVE_MANIFEST_INVALID',
    `cannot read the archive: manifest.json points ${reference} at ${image}, index.json at ${child.node.descriptor.digest}, which does not contain it`,
    { data: { reference, image, target: child.node.descriptor.digest } },
  );
}
