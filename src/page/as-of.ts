import { artifactsProjection, type ArtifactsView } from '../../projections/artifacts.js';
import { imagesOf } from '../../projections/references.js';
import { MAX_PAGE_ARTIFACT_EVENTS, MAX_PAGE_SHARING_EVENTS } from '../limits.js';
import { type ChainId, type Descriptor, type Digest, digestHex, type ImageId } from '../model/digest.js';
import type { EventType, ImageCreated, LayerFacts, ReferenceSet, StoredEvent } from '../model/events.js';
import type { Reading } from './reading.js';
import type { ReferencePeriod } from './timeline.js';
import { formatReference, parseReference } from '../model/reference.js';
import { summaryFormat } from '../log/event-json.js';
import { factsOf } from '../model/event-table.js';

/* What was known of an image, a layer or artifacts after an event: folds of the events about it alone. */

/** Records that are read at the same time. */
const READ_AT_ONCE = 64;

/** Reads events in order. */
export async function readEvents(reading: Reading, seqs: ArrayLike<number>): Promise<StoredEvent[]> {
  const all = Array.from(seqs);
  const events: StoredEvent[] = [];
  for (let at = 0; at < all.length; at += READ_AT_ONCE) {
    const some = all.slice(at, at + READ_AT_ONCE).map((seq) => reading.event(seq));
    for (const event of await Promise.all(some)) events.push(event);
  }
  return events;
}

/** Reads the events about a digest, up to event `seq`. */
export function eventsAbout(reading: Reading, digest: Digest, seq: number): Promise<StoredEvent[]> {
  return readEvents(
    reading,
    reading.timeline.eventsAbout(digest).filter((each) => each <= seq),
  );
}

/** A reference while it pointed at an image, an index or an artifact. */
export interface NamedPeriod extends ReferencePeriod {
  /** Canonical. */
  readonly reference: string;
  readonly event: StoredEvent & ReferenceSet;
}

/** Every period of a name that pointed at a digest until event `seq`, in the order in which they began. */
export function periodsOf(
  { timeline }: Reading,
  { digest, seq, events }: { readonly digest: Digest; readonly seq: number; readonly events: readonly StoredEvent[] },
): NamedPeriod[] {
  const pointing = new Map<number, StoredEvent & ReferenceSet>();
  for (const event of events)
    if (event.type === 'ReferenceSet' && pointsAt(event, digest)) pointing.set(event.seq, event);
  const references = new Set([...pointing.values()].map(({ reference }) => reference));
  const periods = [...references].flatMap((reference) => {
    const row = timeline.names.find(reference);
    return row === undefined ? [] : timeline.periods(row, seq).flatMap((period) => namedPeriod(reference, period));
  });
  return periods.sort((one, other) => one.seq - other.seq);

  function namedPeriod(reference: string, period: ReferencePeriod): NamedPeriod[] {
    const event = pointing.get(period.seq);
    return event === undefined || period.isRemoved ? [] : [{ ...period, reference, event }];
  }
}

function pointsAt(event: ReferenceSet, digest: Digest): boolean {
  return event.target?.digest === digest || imagesOf(event).includes(digest as ImageId);
}

/** An image after an event. */
export interface ImageState {
  readonly id: ImageId;
  /** Undefined when this page does not have the event. */
  readonly created: (StoredEvent & ImageCreated) | undefined;
  readonly isPresent: boolean;
  /** The event that deleted it last, while it is deleted. */
  readonly deleted: StoredEvent | undefined;
  readonly parent: ImageId | undefined;
  /** Sorted. */
  readonly children: readonly ImageId[];
  /** Every manifest that it came with until then, also before it was deleted. */
  readonly manifests: readonly Descriptor[];
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  /** Every name that ever pointed at it until then. */
  readonly periods: readonly NamedPeriod[];
  /** Canonical references that point at it, sorted. */
  readonly references: readonly string[];
}

/** Folds the events about an image, up to event `seq`. */
export async function imageAt(reading: Reading, id: ImageId, seq: number): Promise<ImageState> {
  const events = await eventsAbout(reading, id, seq);
  const fold = new ImageFold(id);
  for (const event of events) fold.add(event);
  const periods = periodsOf(reading, { digest: id, seq, events });
  const isEarlier = reading.timeline.first > 1 && fold.created === undefined && fold.deleted === undefined;
  return {
    id,
    created: fold.created,
    isPresent: fold.isPresent || (isEarlier && events.length > 0),
    deleted: fold.deleted,
    parent: fold.parent,
    children: [...fold.children].sort(),
    manifests: [...fold.manifests.values()],
    metadata: fold.metadata,
    periods,
    references: periods.flatMap(({ reference, untilSeq }) => (untilSeq === undefined ? [reference] : [])).sort(),
  };
}

/** Returns the metadata of an image after event `seq`; reads events only if some was ever set. */
export async function metadataAt(reading: Reading, id: ImageId, seq: number): Promise<Map<string, Uint8Array>> {
  const { timeline } = reading;
  const seqs = timeline.eventsAbout(id).filter((each) => each <= seq);
  if (!seqs.some((each) => timeline.type(each) === 'MetadataSet')) return new Map();
  const fold = new ImageFold(id);
  for (const event of await readEvents(reading, seqs)) fold.add(event);
  return fold.metadata;
}

class ImageFold {
  readonly #id: ImageId;
  created: (StoredEvent & ImageCreated) | undefined;
  isPresent = false;
  deleted: StoredEvent | undefined;
  parent: ImageId | undefined;
  readonly children = new Set<ImageId>();
  readonly manifests = new Map<Digest, Descriptor>();
  readonly metadata = new Map<string, Uint8Array>();

  constructor(id: ImageId) {
    this.#id = id;
  }

  add(event: StoredEvent): void {
    if (event.type === 'ParentSet' || event.type === 'ParentCleared' || event.type === 'ImageDeleted') {
      this.#addParentage(event);
    }
    if (!('image' in event) || event.image !== this.#id) return;
    if (event.type === 'ImageCreated') {
      this.created = event;
      this.isPresent = true;
      this.deleted = undefined;
    } else if (event.type === 'ImageDeleted') {
      this.isPresent = false;
      this.deleted = event;
      this.metadata.clear();
    } else if (event.type === 'ManifestAdded') this.manifests.set(event.manifest.digest, event.manifest);
    else if (event.type === 'MetadataSet') this.metadata.set(event.key, event.value);
    else if (event.type === 'MetadataCleared') this.metadata.delete(event.key);
  }

  #addParentage(event: Extract<StoredEvent, { type: 'ParentSet' | 'ParentCleared' | 'ImageDeleted' }>): void {
    const { image, parent } = event;
    const isSet = event.type === 'ParentSet';
    if (image === this.#id) this.parent = isSet ? parent : undefined;
    else if (isSet && parent === this.#id) this.children.add(image);
    else this.children.delete(image);
  }
}

/** Layers on a chain, images on it, and chains right above it, after an event. */
interface ChainState {
  /** The layer, in the store or removed since; undefined when no event told of it. */
  readonly known: LayerFacts | undefined;
  readonly isPresent: boolean;
  readonly images: ReadonlySet<ImageId>;
  readonly above: ReadonlySet<ChainId>;
  /** Events that were read, and whether there are more. */
  readonly events: number;
  readonly isCut: boolean;
}

/** Events about one chain of an image that are read in any case: the first of them tells of the layer. */
const LEAST_CHAIN_EVENTS = 100;

/** Folds the first `most` events about a chain of layers, up to event `seq`. */
export async function chainAt(
  reading: Reading,
  {
    chainId,
    seq,
    most = LEAST_CHAIN_EVENTS,
  }: { readonly chainId: ChainId; readonly seq: number; readonly most?: number },
): Promise<ChainState> {
  let known: LayerFacts | undefined;
  let isPresent = false;
  const images = new Set<ImageId>();
  const above = new Set<ChainId>();
  const about = reading.timeline.eventsAbout(chainId).filter((each) => each <= seq);
  const events = about.subarray(0, most);
  for (const event of await readEvents(reading, events)) {
    if (event.type === 'ImageCreated' && event.chainId === chainId) images.add(event.image);
    else if (event.type === 'ImageDeleted') images.delete(event.image);
    else if (event.type === 'LayerAdded' || event.type === 'LayerRemoved') {
      const isAdded = event.type === 'LayerAdded';
      if (event.chainId === chainId) {
        known = event;
        isPresent = isAdded;
      } else if (isAdded) above.add(event.chainId);
      else above.delete(event.chainId);
    }
  }
  return { known, isPresent, images, above, events: events.length, isCut: events.length < about.length };
}

/** A layer, and how many images have it. */
interface Sharing extends Pick<ChainState, 'known' | 'isPresent'> {
  readonly others: number;
  /** Whether there may be more: too many events would have to be read. */
  readonly isCut: boolean;
}

/** Returns each layer of an image, bottom first, and how many other images have it too after event `seq`. */
export async function sharingOf(
  reading: Reading,
  { chains, image, seq }: { readonly chains: readonly ChainId[]; readonly image: ImageId; readonly seq: number },
): Promise<Sharing[]> {
  const found: Sharing[] = [];
  const users = new Set<ImageId>();
  const seen = new Set<ChainId>();
  let left = MAX_PAGE_SHARING_EVENTS;
  let isCut = false;
  for (const chain of [...chains].reverse()) {
    const own = await chainAt(reading, { chainId: chain, seq, most: Math.max(LEAST_CHAIN_EVENTS, left) });
    // What has the chain above has this one too: each is walked once.
    const waiting: ChainId[] = [chain];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      const state = next === chain ? own : await chainAt(reading, { chainId: next, seq, most: left });
      left = Math.max(0, left - state.events);
      isCut ||= state.isCut;
      for (const each of state.images) if (each !== image) users.add(each);
      for (const each of state.above) waiting.push(each);
    }
    const { known, isPresent } = own;
    found.push({ known, isPresent, others: users.size, isCut });
  }
  return found.reverse();
}

/** Artifacts after an event. */
export interface ArtifactsState extends ArtifactsView {
  /** Whether artifacts of early events are missing. */
  readonly isCut: boolean;
}

/** Events of artifacts that were read already, of each log. */
const artifactEvents = new WeakMap<Reading, { last: number; events: StoredEvent[]; isCut: boolean }>();

/** Folds the events of all artifacts, up to event `seq`. */
export async function artifactsAt(reading: Reading, seq: number): Promise<ArtifactsState> {
  const { timeline } = reading;
  const known = artifactEvents.get(reading) ?? { last: timeline.first - 1, events: [], isCut: timeline.first > 1 };
  const { last } = timeline;
  const seqs: number[] = [];
  for (let each = known.last + 1; each <= last; each++) {
    const type = timeline.type(each);
    if (type === 'ArtifactAdded' || type === 'ArtifactRemoved') seqs.push(each);
  }
  const all = [...known.events, ...(await readEvents(reading, seqs.slice(-MAX_PAGE_ARTIFACT_EVENTS)))];
  const isCut = known.isCut || all.length > MAX_PAGE_ARTIFACT_EVENTS || seqs.length > MAX_PAGE_ARTIFACT_EVENTS;
  const events = all.slice(-MAX_PAGE_ARTIFACT_EVENTS);
  artifactEvents.set(reading, { last, events, isCut });
  let view = artifactsProjection.initial();
  for (const event of events) if (event.seq <= seq) view = artifactsProjection.evolve(view, event);
  return { ...view, isCut };
}

/** An artifact that belongs to an image or artifact, and how: as `inspect` tells it. */
export interface RelatedArtifact extends Descriptor {
  /** Empty when neither its manifest nor its config says. */
  readonly artifactType: string;
  /** The digest it is about; undefined when an index holds it beside the image. */
  readonly subject: Digest | undefined;
  /** The index that holds both; undefined when it is about the image. */
  readonly index: Digest | undefined;
}

/** Endings of the tags by which cosign names what is about a digest. */
const TAG_ENDINGS = ['sig', 'att', 'sbom'] as const;

interface Asked {
  readonly artifacts: ArtifactsState;
  readonly seq: number;
}

/** Returns the artifacts about an image, its manifests and indexes, and those beside it in an index; or about an artifact. */
export async function relatedArtifacts(
  reading: Reading,
  asked: Asked & ({ readonly state: ImageState } | { readonly digest: Digest }),
): Promise<RelatedArtifact[]> {
  const { artifacts } = asked;
  const state = 'state' in asked ? asked.state : undefined;
  const own = 'digest' in asked ? [asked.digest] : ownDigests(asked.state);
  const indexes = state === undefined ? [] : own.flatMap((digest) => [...(artifacts.indexesOf.get(digest) ?? [])]);
  const targets = state?.periods.flatMap(({ untilSeq, event: { target } }) =>
    untilSeq === undefined && target !== undefined ? [target.digest] : [],
  );
  const related = new Map<Digest, RelatedArtifact>();
  for (const subject of new Set([...own, ...indexes, ...(targets ?? [])])) {
    const names = own.includes(subject) ? state?.references : undefined;
    for (const descriptor of await referrers(reading, subject, asked, names)) {
      if (!related.has(descriptor.digest)) related.set(descriptor.digest, { ...descriptor, subject, index: undefined });
    }
  }
  for (const index of new Set(indexes)) {
    for (const { digest } of artifacts.byDigest.get(index)?.contains ?? []) {
      const entry = artifacts.byDigest.get(digest);
      if (entry === undefined || related.has(digest)) continue;
      related.set(digest, { ...entry.artifact, artifactType: entry.artifactType, subject: undefined, index });
    }
  }
  return [...related.values()];
}

function ownDigests({ id, manifests }: ImageState): Digest[] {
  return [id, ...manifests.map(({ digest }) => digest)];
}

/** What is about a digest: artifacts whose subject it is, then those that cosign's tags name. */
async function referrers(
  reading: Reading,
  subject: Digest,
  { artifacts, seq }: Asked,
  names: readonly string[] | undefined,
): Promise<(Descriptor & Pick<RelatedArtifact, 'artifactType'>)[]> {
  const found = new Map<Digest, Descriptor>();
  for (const digest of artifacts.bySubject.get(subject) ?? []) {
    const entry = artifacts.byDigest.get(digest);
    if (entry !== undefined) found.set(digest, entry.artifact);
  }
  for (const tag of taggedNames(subject, names ?? (await namesOf(reading, subject, seq)))) {
    const target = await targetOf(reading, tag, seq);
    if (target !== undefined && !found.has(target.digest)) found.set(target.digest, target);
  }
  return [...found.values()].map((descriptor) => ({
    ...descriptor,
    artifactType: artifacts.byDigest.get(descriptor.digest)?.artifactType ?? '',
  }));
}

async function namesOf(reading: Reading, digest: Digest, seq: number): Promise<string[]> {
  const events = await eventsAbout(reading, digest, seq);
  return periodsOf(reading, { digest, seq, events }).flatMap(({ reference, untilSeq }) =>
    untilSeq === undefined ? [reference] : [],
  );
}

/** The references that would name what is about `digest`, in each repository where it has a name. */
function taggedNames(digest: Digest, names: readonly string[]): Set<string> {
  const tags = new Set<string>();
  for (const name of [...names].sort()) {
    const { domain, path } = parseReference(name);
    for (const ending of TAG_ENDINGS) {
      tags.add(formatReference({ domain, path, tag: `sha256-${digestHex(digest)}.${ending}` }));
    }
  }
  return tags;
}

async function targetOf(reading: Reading, reference: string, seq: number): Promise<Descriptor | undefined> {
  const row = reading.timeline.names.find(reference);
  const change = row === undefined ? undefined : reading.timeline.referenceAt(row, seq);
  if (change === undefined || change.isRemoved) return undefined;
  const event = await reading.event(change.seq);
  return event.type === 'ReferenceSet' ? event.target : undefined;
}

/** One event for a line of text. */
export interface EventLine {
  readonly seq: number;
  readonly time: number;
  readonly type: EventType;
  readonly actor: string;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
  readonly via: string | undefined;
  readonly address: string | undefined;
  /** What it did, in the words of `imagelog log --events`. */
  readonly summary: string;
}

/** Returns the line of an event. */
export function eventLine(event: StoredEvent): EventLine {
  const { seq, time, type, actor, reason, requestId, via, address } = event;
  const summary = factsOf(event).summary(event, summaryFormat);
  return { seq, time, type, actor, reason, requestId, via, address, summary };
}
