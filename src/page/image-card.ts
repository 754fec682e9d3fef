import { isStoreError, StoreError } from '../errors.js';
import { MAX_CONFIG_BYTES, MAX_PAGE_ANCESTORS, MAX_PAGE_CHILDREN, MAX_PAGE_DIGESTS } from '../limits.js';
import { metadataText } from '../log/event-json.js';
import { type BuildStep, buildSteps, layerChain } from '../model/history.js';
import {
  type ChainId,
  type Descriptor,
  type DiffId,
  type Digest,
  hexPrefix,
  type ImageId,
  isDigest,
} from '../model/digest.js';
import type { ArtifactAdded, PlatformImage, StoredEvent } from '../model/events.js';
import { identifiedImage, type Image } from '../model/image.js';
import { canonicalReference, familiarReference } from '../model/reference.js';
import { platformText, sizeText } from '../model/texts.js';
import { msOf } from '../model/timestamp.js';
import { createdIn } from '../../projections/images.js';
import {
  artifactsAt,
  type ArtifactsState,
  chainAt,
  type EventLine,
  eventLine,
  eventsAbout,
  imageAt,
  type ImageState,
  type NamedPeriod,
  periodsOf,
  readEvents,
  type RelatedArtifact,
  relatedArtifacts,
  sharingOf,
} from './as-of.js';
import type { Reading } from './reading.js';
import { isJsonArray, quoteJson } from '../model/go-json/codecs.js';
import { type JsonObject, type JsonValue, parseJson } from '../model/go-json/parse.js';

/** A name while it pointed at an image or an artifact. */
export interface NameLine {
  /** As people write it. */
  readonly name: string;
  readonly reference: string;
  /** Milliseconds since the epoch; `until` undefined while it lasts. */
  readonly from: number;
  readonly until: number | undefined;
  readonly untilSeq: number | undefined;
  /** Who pointed it there, and why; and who ended that. */
  readonly event: EventLine;
  readonly ended: EventLine | undefined;
}

/** A layer of an image. */
export interface LayerLine {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  /** Bytes of its files; null when the store had no such layer then. */
  readonly size: number | null;
  /** Other images that had it then. */
  readonly others: number;
  /** Whether there may be more of them. */
  readonly isCut: boolean;
}

/** An image in the tree of parents and children. */
export interface TreeImage {
  readonly image: ImageId;
  readonly platform: string;
  /** Names at that moment, as people write them. */
  readonly names: readonly string[];
  readonly isPresent: boolean;
}

/** An index that an image came in. */
interface IndexLine {
  readonly digest: Digest;
  readonly platforms: readonly PlatformImage[];
  /** All that it holds, where it is kept as an artifact. */
  readonly contains: readonly Descriptor[];
}

/** All of an image as of an event. */
export interface ImageCard {
  readonly kind: 'image';
  readonly image: ImageId;
  /** What was asked for, when it is a manifest or index of the image. */
  readonly via: { readonly kind: 'manifest' | 'index'; readonly digest: Digest } | undefined;
  readonly isPresent: boolean;
  readonly created: EventLine | undefined;
  readonly deleted: EventLine | undefined;
  /** The event that erased its config since, at any time. */
  readonly erased: EventLine | undefined;
  /** Why the config that came is not believed. */
  readonly wrong: string | undefined;
  readonly platform: string;
  /** Bytes of the config. */
  readonly configSize: number | undefined;
  /** When the config says that it was built, milliseconds since the epoch. */
  readonly built: number | undefined;
  readonly manifests: readonly Descriptor[];
  readonly indexes: readonly IndexLine[];
  readonly names: readonly NameLine[];
  /** Bottom first. */
  readonly layers: readonly LayerLine[];
  readonly sizes: LayerSizes | undefined;
  /** The last step first; undefined when the config is not here. */
  readonly steps: readonly BuildStep[] | undefined;
  readonly ancestors: readonly TreeImage[];
  readonly own: TreeImage;
  /** The first MAX_PAGE_CHILDREN. */
  readonly children: readonly TreeImage[];
  readonly childCount: number;
  readonly artifacts: readonly RelatedArtifact[];
  /** Whether early artifacts are not known. */
  readonly isCut: boolean;
  readonly metadata: readonly (readonly [key: string, value: string])[];
  readonly config: readonly (readonly [key: string, value: string])[];
}

/** Bytes of the files of all layers, and of those that other images had too, or not. */
interface LayerSizes {
  readonly total: number;
  readonly shared: number;
  readonly unique: number;
}

/** An artifact or index as of an event. */
export interface ArtifactCard {
  readonly kind: 'artifact' | 'index';
  readonly artifact: Descriptor;
  readonly isPresent: boolean;
  readonly added: EventLine;
  readonly removed: EventLine | undefined;
  readonly erased: EventLine | undefined;
  /** Why the manifest that came is not believed. */
  readonly wrong: string | undefined;
  readonly artifactType: string;
  readonly subject: Descriptor | undefined;
  readonly contains: readonly Descriptor[];
  readonly blobs: readonly Descriptor[];
  /** Bytes of the manifest and its blobs. */
  readonly totalSize: number;
  readonly names: readonly NameLine[];
  readonly artifacts: readonly RelatedArtifact[];
  readonly isCut: boolean;
}

/** Returns the card of what a digest names; undefined for none of an image, manifest, index or artifact. */
export async function card(
  reading: Reading,
  { digest, seq }: { readonly digest: string; readonly seq: number },
): Promise<ImageCard | ArtifactCard | undefined> {
  if (!isDigest(digest)) return undefined;
  const named = await namedBy(reading, digest);
  if (named === undefined) return undefined;
  if (named.artifact !== undefined) return artifactCard(reading, { digest, seq, added: named.artifact });
  return imageCard(reading, { ...named, seq });
}

/** What a digest names, at any time. */
type Named =
  | { readonly image: ImageId; readonly via: ImageCard['via']; readonly artifact?: undefined }
  | { readonly artifact: StoredEvent & ArtifactAdded };

async function namedBy(reading: Reading, digest: Digest): Promise<Named | undefined> {
  let [index, artifact, manifest]: (Named | undefined)[] = [];
  for (const event of await eventsAbout(reading, digest, reading.timeline.last)) {
    if (event.type === 'ArtifactAdded' && event.artifact.digest === digest) artifact ??= { artifact: event };
    if ('image' in event && event.image === digest) return { image: event.image, via: undefined };
    if (event.type === 'ManifestAdded' && event.manifest.digest === digest) {
      manifest = { image: event.image, via: { kind: 'manifest', digest } };
    }
    if (event.type !== 'ReferenceSet' || event.target?.digest !== digest || event.image === undefined) continue;
    if (event.platforms === undefined) manifest ??= { image: event.image, via: { kind: 'manifest', digest } };
    else index ??= { image: event.image, via: { kind: 'index', digest } };
  }
  // An index of images may be kept as an artifact too, for what else it holds: there is one card of both.
  return index ?? artifact ?? manifest;
}

/** Returns the image of a config, manifest or index. @throws {StoreError} IMAGE_NOT_FOUND */
export async function imageNamed(reading: Reading, digest: Digest): Promise<ImageId> {
  const named = isDigest(digest) ? await namedBy(reading, digest) : undefined;
  if (named?.artifact === undefined && named !== undefined) return named.image;
  throw new StoreError('IMAGE_NOT_FOUND', `${digest} is no image of this log`);
}

async function imageCard(
  reading: Reading,
  { image: id, via, seq }: { readonly image: ImageId; readonly via: ImageCard['via']; readonly seq: number },
): Promise<ImageCard> {
  const state = await imageAt(reading, id, seq);
  const { bytes, wrong } = await contentOf(reading, id);
  const image = bytes === undefined ? undefined : identifiedImage(bytes, id, state.parent);
  const { rows: layers, sizes } = await layersOf(reading, { state, image, seq });
  const sizeOf = new Map(layers.flatMap(({ chainId, size }) => (size === null ? [] : [[chainId, size] as const])));
  const table = new Map([...sizeOf].map(([chainId, diffSize]) => [chainId, { size: 0, diffSize }]));
  const artifacts = await artifactsAt(reading, seq);
  return {
    kind: 'image',
    image: id,
    via,
    isPresent: state.isPresent,
    created: state.created && eventLine(state.created),
    deleted: state.deleted && eventLine(state.deleted),
    erased: bytes === undefined && wrong === undefined ? await erasureOf(reading, id) : undefined,
    wrong,
    platform: platformOf(state, image),
    configSize: state.created?.size,
    built: builtMs(state),
    manifests: state.manifests,
    indexes: indexesOf(state, artifacts),
    names: await nameLines(reading, state.periods),
    layers,
    sizes,
    steps: image && buildSteps(image, table).reverse(),
    ancestors: await ancestorsOf(reading, state, seq),
    own: treeImage(state),
    children: await treeImages(reading, state.children.slice(0, MAX_PAGE_CHILDREN), seq),
    childCount: state.children.length,
    artifacts: await relatedArtifacts(reading, { state, artifacts, seq }),
    isCut: artifacts.isCut,
    metadata: [...state.metadata].sort().map(([key, value]) => [key, metadataText(value) ?? sizeText(value.length)]),
    config: bytes === undefined ? [] : [...configKeys(bytes)],
  };
}

/** Content that was checked, or why it is not believed: what the events tell is true without it. */
async function contentOf(
  reading: Reading,
  digest: Digest,
): Promise<{ readonly bytes: Uint8Array | undefined; readonly wrong: string | undefined }> {
  try {
    return { bytes: await reading.content(digest), wrong: undefined };
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return { bytes: undefined, wrong: error.message };
  }
}

function platformOf({ created }: ImageState, image: Image | undefined): string {
  return platformText(image?.platform() ?? created ?? { os: '', architecture: '' });
}

function builtMs({ created }: ImageState): number | undefined {
  const instant = created === undefined ? undefined : createdIn(created);
  return instant === undefined ? undefined : msOf(instant);
}

/** The event that erased content last, unless it came back. */
async function erasureOf(reading: Reading, digest: Digest): Promise<EventLine | undefined> {
  const events = await eventsAbout(reading, digest, reading.timeline.last);
  const last = events.findLast((event) => event.type === 'ContentErased' && event.digest === digest);
  return last && eventLine(last);
}

async function nameLines(reading: Reading, periods: readonly NamedPeriod[]): Promise<NameLine[]> {
  const ends = await readEvents(
    reading,
    periods.flatMap(({ untilSeq }) => untilSeq ?? []),
  );
  const endAt = new Map(ends.map((event) => [event.seq, eventLine(event)]));
  return periods.map(({ reference, time, until, untilSeq, event }) => ({
    name: familiarReference(reference),
    reference,
    from: time,
    until,
    untilSeq,
    event: eventLine(event),
    ended: untilSeq === undefined ? undefined : endAt.get(untilSeq),
  }));
}

function indexesOf({ periods, manifests, id }: ImageState, artifacts: ArtifactsState): IndexLine[] {
  const platforms = new Map<Digest, readonly PlatformImage[]>();
  for (const { event } of periods) {
    if (event.target !== undefined && event.platforms !== undefined) {
      platforms.set(event.target.digest, event.platforms);
    }
  }
  const own = [id, ...manifests.map(({ digest }) => digest)];
  const indexes = new Set([
    ...platforms.keys(),
    ...own.flatMap((digest) => [...(artifacts.indexesOf.get(digest) ?? [])]),
  ]);
  return [...indexes].map((digest) => ({
    digest,
    platforms: platforms.get(digest) ?? [],
    contains: artifacts.byDigest.get(digest)?.contains ?? [],
  }));
}

/** Returns the layers of an image, bottom first, by its config; by the events where that is not here. */
export async function layersOf(
  reading: Reading,
  { state, image, seq }: { readonly state: ImageState; readonly image: Image | undefined; readonly seq: number },
): Promise<{ readonly rows: readonly LayerLine[]; readonly sizes: LayerSizes | undefined }> {
  const stack =
    image === undefined ? await stackOf(reading, state.created?.chainId, seq) : layerChain(image.rootFS.diffIds);
  const chains = stack.map(({ chainId }) => chainId);
  const sharing = await sharingOf(reading, { chains, image: state.id, seq });
  const rows = stack.map(({ chainId, diffId }, at): LayerLine => {
    const { known, isPresent = false, others = 0, isCut = false } = sharing[at] ?? {};
    return { chainId, diffId, size: isPresent ? (known?.diffSize ?? null) : null, others, isCut };
  });
  return { rows, sizes: sizesOf(rows) };
}

/** Walks down from the topmost layer, by the events that added them. */
async function stackOf(
  reading: Reading,
  top: ChainId | undefined,
  seq: number,
): Promise<{ readonly chainId: ChainId; readonly diffId: DiffId }[]> {
  const stack: { readonly chainId: ChainId; readonly diffId: DiffId }[] = [];
  for (let next = top; next !== undefined; ) {
    const { known } = await chainAt(reading, { chainId: next, seq });
    if (known === undefined) break;
    stack.unshift({ chainId: next, diffId: known.diffId });
    next = known.parent;
  }
  return stack;
}

function sizesOf(layers: readonly LayerLine[]): LayerSizes | undefined {
  let [total, shared] = [0, 0];
  for (const { size, others } of layers) {
    if (size === null) return undefined;
    total += size;
    if (others > 0) shared += size;
  }
  return { total, shared, unique: total - shared };
}

async function ancestorsOf(reading: Reading, { parent }: ImageState, seq: number): Promise<TreeImage[]> {
  const ancestors: TreeImage[] = [];
  for (let next = parent; next !== undefined && ancestors.length < MAX_PAGE_ANCESTORS; ) {
    const state = await imageAt(reading, next, seq);
    ancestors.unshift(treeImage(state));
    next = state.parent;
  }
  return ancestors;
}

async function treeImages(reading: Reading, ids: readonly ImageId[], seq: number): Promise<TreeImage[]> {
  return Promise.all(ids.map(async (id) => treeImage(await imageAt(reading, id, seq))));
}

function treeImage({ id, created, references, isPresent }: ImageState): TreeImage {
  const names = references.map(familiarReference);
  return { image: id, platform: platformText(created ?? { os: '', architecture: '' }), names, isPresent };
}

async function artifactCard(
  reading: Reading,
  {
    digest,
    seq,
    added,
  }: { readonly digest: Digest; readonly seq: number; readonly added: StoredEvent & ArtifactAdded },
): Promise<ArtifactCard> {
  const events = await eventsAbout(reading, digest, seq);
  const own = events.filter(
    (event) => (event.type === 'ArtifactAdded' || event.type === 'ArtifactRemoved') && event.artifact.digest === digest,
  );
  const last = own.at(-1);
  const artifacts = await artifactsAt(reading, seq);
  const { artifact, artifactType, subject, contains, blobs } = added;
  const { bytes, wrong } = await contentOf(reading, digest);
  return {
    kind: contains.length > 0 ? 'index' : 'artifact',
    artifact,
    isPresent: last?.type === 'ArtifactAdded',
    added: eventLine(own.findLast(({ type }) => type === 'ArtifactAdded') ?? added),
    removed: last?.type === 'ArtifactRemoved' ? eventLine(last) : undefined,
    erased: bytes === undefined && wrong === undefined ? await erasureOf(reading, digest) : undefined,
    wrong,
    artifactType,
    subject,
    contains,
    blobs,
    totalSize: blobs.reduce((sum, { size }) => sum + size, artifact.size),
    names: await nameLines(reading, periodsOf(reading, { digest, seq, events })),
    artifacts: await relatedArtifacts(reading, { digest, artifacts, seq }),
    isCut: artifacts.isCut,
  };
}

/**
 * Returns the digest of the image or artifact that a text names as of event `seq`, as `inspect` reads
 * it: a whole id, a reference, or the first digits of an id or digest.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export async function findNamed(
  reading: Reading,
  { text, seq }: { readonly text: string; readonly seq: number },
): Promise<{ readonly digest: Digest }> {
  const wanted = text.trim();
  if (isDigest(wanted) && (await namedBy(reading, wanted)) !== undefined) return { digest: wanted };
  const pointed = pointedBy(reading, wanted, seq);
  if (pointed !== undefined) return { digest: pointed };
  const found: { readonly digest: Digest; readonly isImage: boolean }[] = [];
  const prefix = hexPrefix(wanted);
  const digests = prefix === undefined ? [] : reading.timeline.digestsBeginning(prefix, MAX_PAGE_DIGESTS);
  for (const digest of digests) {
    const named = await namedBy(reading, digest);
    if (named !== undefined) found.push({ digest, isImage: 'image' in named && named.via === undefined });
  }
  // As for the store, an image comes before what else begins so.
  const images = found.filter(({ isImage }) => isImage);
  const [first, second] = images.length > 0 ? images : found;
  if (first !== undefined && second === undefined) return { digest: first.digest };
  if (first === undefined) {
    throw new StoreError('IMAGE_NOT_FOUND', `nothing here is called ${JSON.stringify(wanted.slice(0, 100))}`);
  }
  throw new StoreError('ID_AMBIGUOUS', `${JSON.stringify(wanted)} begins more than one digest`);
}

function pointedBy({ timeline }: Reading, text: string, seq: number): Digest | undefined {
  try {
    const row = timeline.names.find(canonicalReference(text));
    const change = row === undefined ? undefined : timeline.referenceAt(row, seq);
    return change?.image ?? change?.target;
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

/** Said elsewhere: by the layers and the build steps. */
const LEFT_OUT: ReadonlySet<string> = new Set(['rootfs', 'history']);

/**
 * Returns every value of a config by its path, as jq writes it (`config.Env.PATH`), in order, but for
 * layers and history. Numbers are as they are written. Variables of `Env` are taken apart; other lists are JSON.
 * @throws {JsonError} for what is not JSON
 */
export function configKeys(bytes: Uint8Array): Map<string, string> {
  const keys = new Map<string, string>();
  const config = parseJson(bytes, { maxNumberLength: MAX_CONFIG_BYTES });
  for (const [key, value] of entriesOf(config)) if (!LEFT_OUT.has(key)) addKeys(keys, key, value);
  return keys;
}

function addKeys(keys: Map<string, string>, path: string, value: JsonValue): void {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (isObject(value) && value.keys.length > 0) {
    for (const [key, each] of entriesOf(value)) addKeys(keys, `${path}.${key}`, each);
  } else if (name === 'Env' && Array.isArray(value)) {
    for (const each of value as readonly JsonValue[]) addVariable(keys, path, each);
  } else keys.set(path, typeof value === 'string' ? value : jsonText(value));
}

function addVariable(keys: Map<string, string>, path: string, value: JsonValue): void {
  const text = typeof value === 'string' ? value : jsonText(value);
  const at = text.indexOf('=');
  keys.set(`${path}.${at === -1 ? text : text.slice(0, at)}`, at === -1 ? '' : text.slice(at + 1));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'object';
}

function entriesOf(value: JsonValue): [string, JsonValue][] {
  return isObject(value) ? value.keys.map((key, at) => [key, value.values[at] ?? null]) : [];
}

function jsonText(value: JsonValue): string {
  if (typeof value === 'string') return quoteJson(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (isJsonArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (!isObject(value)) return value.text;
  return `{${entriesOf(value)
    .map(([key, each]) => `${quoteJson(key)}:${jsonText(each)}`)
    .join(',')}}`;
}
