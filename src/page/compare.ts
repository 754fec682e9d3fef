import { MAX_PAGE_COMPARED_EVENTS } from '../limits.js';
import { metadataText } from '../log/event-json.js';
import { bytesToHex, type ChainId, type Digest, type ImageId } from '../model/digest.js';
import type { LayerFacts, StoredEvent } from '../model/events.js';
import { identifiedImage } from '../model/image.js';
import { familiarReference } from '../model/reference.js';
import { shortId, sizeText } from '../model/texts.js';
import { sameTarget } from '../../projections/references.js';
import { type EventLine, eventLine, imageAt, metadataAt, readEvents } from './as-of.js';
import { configKeys, imageNamed, type LayerLine, layersOf } from './image-card.js';
import type { Reading } from './reading.js';
import type { ReferenceChange } from './timeline.js';

/** What a comparison of moments tells of, in the order of `imagelog diff`. */
export const DIFFERENCE_KINDS = ['reference', 'image', 'artifact', 'parent', 'metadata', 'layer'] as const;

/** What is not the same at two moments: as `imagelog diff` tells it. */
export interface Difference {
  readonly kind: (typeof DIFFERENCE_KINDS)[number];
  readonly change: 'added' | 'removed' | 'changed';
  /** Canonical reference, image id, digest of an artifact, `<image id>/<metadata key>`, or chain id. */
  readonly key: string;
  readonly name: string;
  /** A digest, or a text for metadata and layers; undefined where it was not there. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  /** The last event that changed it. */
  readonly event: EventLine;
}

/** What is different between two moments. */
export interface MomentDifferences {
  /** The earlier and the later event. */
  readonly from: number;
  readonly to: number;
  readonly counts: Readonly<Record<Difference['kind'], Readonly<Record<Difference['change'], number>>>>;
  /** In event order within each kind; the first `limit`. */
  readonly rows: readonly Difference[];
  readonly count: number;
  /** Whether there are more than references: too much came and went. */
  readonly isCut: boolean;
}

/** A difference before its event is read. */
interface Found extends Omit<Difference, 'event'> {
  readonly seq: number;
}

/** Compares two moments, in either order. */
export async function compareMoments(
  reading: Reading,
  { one, other, limit }: { readonly one: number; readonly other: number; readonly limit: number },
): Promise<MomentDifferences> {
  const [from, to] = one < other ? [one, other] : [other, one];
  const names = await namesThatDiffer(reading, from, to);
  const { found, isCut } = await livesThatDiffer(reading, from, to);
  const all = [...names, ...found];
  const counts = countsOf(all);
  const rows = all.slice(0, limit).map(async ({ seq, ...row }): Promise<Difference> => {
    return { ...row, event: eventLine(await reading.event(seq)) };
  });
  return { from, to, counts, rows: await Promise.all(rows), count: all.length, isCut };
}

function countsOf(all: readonly Found[]): MomentDifferences['counts'] {
  const none = (): Record<Difference['change'], number> => ({ added: 0, removed: 0, changed: 0 });
  const counts = {
    reference: none(),
    image: none(),
    artifact: none(),
    parent: none(),
    metadata: none(),
    layer: none(),
  };
  for (const { kind, change } of all) counts[kind][change] += 1;
  return counts;
}

async function namesThatDiffer(reading: Reading, from: number, to: number): Promise<Found[]> {
  const { timeline } = reading;
  const found: Found[] = [];
  for (const [row, reference] of timeline.names.texts.entries()) {
    const after = timeline.referenceAt(row, to);
    const before = timeline.referenceAt(row, from);
    if (after === undefined || after.seq === before?.seq) continue;
    if (await isSame(reading, thereIn(before), thereIn(after))) continue;
    const seqs = timeline.eventsOfReference(row);
    const was = before === undefined ? await pointedBefore(reading, seqs[0]) : pointedBy(before);
    const is = pointedBy(after);
    if (was === undefined && is === undefined) continue;
    // Of what is left out, nothing but the image or the target is known.
    if (before === undefined && was === is) continue;
    const seq = seqs.findLast((each) => each <= to) ?? to;
    const name = familiarReference(reference);
    found.push({ kind: 'reference', change: changeOf(was, is), key: reference, name, before: was, after: is, seq });
  }
  return found.sort((a, b) => a.seq - b.seq);
}

function pointedBy(change: ReferenceChange): Digest | undefined {
  return change.isRemoved ? undefined : (change.image ?? change.target);
}

/** What a reference pointed at before its first event that is here: of a log whose first events are left out. */
async function pointedBefore(reading: Reading, seq: number | undefined): Promise<Digest | undefined> {
  if (seq === undefined || reading.timeline.first === 1) return undefined;
  const event = await reading.event(seq);
  if (event.type === 'ReferenceRemoved') return event.image ?? event.target;
  return event.type === 'ReferenceSet' ? (event.previous ?? event.previousTarget) : undefined;
}

function thereIn(change: ReferenceChange | undefined): ReferenceChange | undefined {
  return change?.isRemoved === true ? undefined : change;
}

async function isSame(reading: Reading, before?: ReferenceChange, after?: ReferenceChange): Promise<boolean> {
  if (before === undefined || after === undefined) return false;
  if (before.image !== after.image || before.target !== after.target) return false;
  const [one, other] = await readEvents(reading, [before.seq, after.seq]);
  return one?.type === 'ReferenceSet' && other?.type === 'ReferenceSet' && sameTarget(one, other);
}

function changeOf(before: unknown, after: unknown): Difference['change'] {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

/** What else than a reference is not the same at two moments. */
async function livesThatDiffer(
  reading: Reading,
  from: number,
  to: number,
): Promise<{ readonly found: readonly Found[]; readonly isCut: boolean }> {
  const { timeline } = reading;
  const seqs: number[] = [];
  for (let seq = Math.max(from + 1, timeline.first); seq <= to; seq++) {
    if (LIVES.has(timeline.type(seq))) seqs.push(seq);
  }
  const lives = new Map<string, Life & { readonly seq: number }>();
  const metadata = new Map<ImageId, Map<string, Uint8Array>>();
  for (const event of await readEvents(reading, seqs.slice(-MAX_PAGE_COMPARED_EVENTS))) {
    if (METADATA.has(event.type) && 'image' in event && event.image !== undefined && !metadata.has(event.image)) {
      metadata.set(event.image, await metadataAt(reading, event.image, Math.max(from, event.seq - 1)));
    }
    for (const life of livesOf(event, metadata)) {
      const id = `${life.kind} ${life.key}`;
      const known = lives.get(id);
      lives.set(id, { ...life, before: known === undefined ? life.before : known.before, seq: event.seq });
    }
  }
  const found = [...lives.values()].flatMap(({ kind, key, name, before, after, seq }): Found[] => {
    if (before?.value === after?.value) return [];
    return [{ kind, change: changeOf(before, after), key, name, before: before?.text, after: after?.text, seq }];
  });
  const rank = ({ kind, seq }: Found): number => DIFFERENCE_KINDS.indexOf(kind) * (timeline.last + 1) + seq;
  return { found: found.sort((a, b) => rank(a) - rank(b)), isCut: seqs.length > MAX_PAGE_COMPARED_EVENTS };
}

const METADATA: ReadonlySet<StoredEvent['type']> = new Set(['MetadataSet', 'MetadataCleared', 'ImageDeleted']);

const LIVES: ReadonlySet<StoredEvent['type']> = new Set([
  ...METADATA,
  'ImageCreated',
  'ParentSet',
  'ParentCleared',
  'ArtifactAdded',
  'ArtifactRemoved',
  'LayerAdded',
  'LayerRemoved',
]);

/** One side of a difference: what tells it apart, and what is shown. */
interface Side {
  readonly value: string;
  readonly text: string;
}

/** What an event begins, changes or ends. */
interface Life extends Pick<Difference, 'kind' | 'key' | 'name'> {
  readonly before: Side | undefined;
  readonly after: Side | undefined;
}

/** Returns all that an event changes. `metadata` is that of the images before it, and after it afterwards. */
function livesOf(event: StoredEvent, metadata: ReadonlyMap<ImageId, Map<string, Uint8Array>>): Life[] {
  switch (event.type) {
    case 'ImageCreated':
      return [digestLife('image', event.image, undefined, event.image)];
    case 'ImageDeleted': {
      const values = metadata.get(event.image) ?? new Map<string, Uint8Array>();
      const cleared = [...values].map(([key, value]) => metadataLife(event.image, key, value, undefined));
      values.clear();
      const { image, parent } = event;
      return [digestLife('image', image, image, undefined), digestLife('parent', image, parent, undefined), ...cleared];
    }
    case 'ParentSet':
      return [digestLife('parent', event.image, event.previous, event.parent)];
    case 'ParentCleared':
      return [digestLife('parent', event.image, event.parent, undefined)];
    case 'ArtifactAdded':
      return [digestLife('artifact', event.artifact.digest, undefined, event.artifact.digest)];
    case 'ArtifactRemoved':
      return [digestLife('artifact', event.artifact.digest, event.artifact.digest, undefined)];
    case 'LayerAdded':
      return [layerLife(event, undefined, event)];
    case 'LayerRemoved':
      return [layerLife(event, event, undefined)];
    case 'MetadataSet':
    case 'MetadataCleared': {
      const values = metadata.get(event.image);
      const before = values?.get(event.key);
      const after = event.type === 'MetadataSet' ? event.value : undefined;
      if (after === undefined) values?.delete(event.key);
      else values?.set(event.key, after);
      return [metadataLife(event.image, event.key, before, after)];
    }
    default:
      return [];
  }
}

function digestLife(kind: Difference['kind'], key: Digest, before?: Digest, after?: Digest): Life {
  const side = (digest?: Digest): Side | undefined => digest && { value: digest, text: digest };
  return { kind, key, name: key, before: side(before), after: side(after) };
}

function layerLife({ chainId }: LayerFacts, before?: LayerFacts, after?: LayerFacts): Life {
  const side = (layer?: LayerFacts): Side | undefined =>
    layer && { value: [layer.size, layer.diffSize, layer.blob.digest].join(), text: sizeText(layer.diffSize) };
  return { kind: 'layer', key: chainId, name: chainId, before: side(before), after: side(after) };
}

function metadataLife(image: ImageId, key: string, before?: Uint8Array, after?: Uint8Array): Life {
  const side = (value?: Uint8Array): Side | undefined =>
    value && { value: bytesToHex(value), text: metadataText(value) ?? sizeText(value.length) };
  const name = `${shortId(image)} ${key}`;
  return { kind: 'metadata', key: `${image}/${key}`, name, before: side(before), after: side(after) };
}

/** One of two images that are compared. */
export interface ComparedImage {
  readonly image: ImageId;
  readonly names: readonly string[];
  readonly size: number | undefined;
  /** Whether its config is here: if not, its keys are not known. */
  readonly hasConfig: boolean;
}

/** A value of the config that is not the same in two images; undefined where it is missing. */
export interface KeyDifference {
  /** As jq writes it: `config.Env.PATH`. */
  readonly key: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What is different between two images. */
export interface ImageDifferences {
  readonly before: ComparedImage;
  readonly after: ComparedImage;
  /** Layers that both have, and those of one alone; bottom first. */
  readonly common: readonly LayerLine[];
  readonly beforeOnly: readonly LayerLine[];
  readonly afterOnly: readonly LayerLine[];
  readonly keys: readonly KeyDifference[];
  /** Keys with the same value. */
  readonly sameKeys: number;
}

/**
 * Compares the images of two digests, of configs, manifests or indexes, as of event `seq`.
 * @throws {StoreError} IMAGE_NOT_FOUND
 */
export async function compareImages(
  reading: Reading,
  { before, after, seq }: { readonly before: Digest; readonly after: Digest; readonly seq: number },
): Promise<ImageDifferences> {
  const [one, other] = await Promise.all([comparable(reading, before, seq), comparable(reading, after, seq)]);
  const chainsOf = ({ layers }: typeof one): Set<ChainId> => new Set(layers.map(({ chainId }) => chainId));
  const [ofOne, ofOther] = [chainsOf(one), chainsOf(other)];
  const canCompare = one.compared.hasConfig && other.compared.hasConfig;
  const names = canCompare ? new Set([...one.keys.keys(), ...other.keys.keys()]) : new Set<string>();
  const keys = [...names].flatMap((key) => {
    const difference = { key, before: one.keys.get(key), after: other.keys.get(key) };
    return difference.before === difference.after ? [] : [difference];
  });
  return {
    before: one.compared,
    after: other.compared,
    common: one.layers.filter(({ chainId }) => ofOther.has(chainId)),
    beforeOnly: one.layers.filter(({ chainId }) => !ofOther.has(chainId)),
    afterOnly: other.layers.filter(({ chainId }) => !ofOne.has(chainId)),
    keys,
    sameKeys: names.size - keys.length,
  };
}

async function comparable(
  reading: Reading,
  digest: Digest,
  seq: number,
): Promise<{
  readonly compared: ComparedImage;
  readonly layers: readonly LayerLine[];
  readonly keys: ReadonlyMap<string, string>;
}> {
  const image = await imageNamed(reading, digest);
  const state = await imageAt(reading, image, seq);
  const bytes = await reading.content(image);
  const config = bytes && identifiedImage(bytes, image, state.parent);
  const { rows, sizes } = await layersOf(reading, { state, image: config, seq });
  const names = state.references.map(familiarReference);
  return {
    compared: { image, names, size: sizes?.total, hasConfig: bytes !== undefined },
    layers: rows,
    keys: bytes === undefined ? new Map() : configKeys(bytes),
  };
}
