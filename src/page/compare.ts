import type { ChainId, Digest, ImageId } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { identifiedImage } from '../model/image.js';
import { familiarReference } from '../model/reference.js';
import { sameTarget } from '../../projections/references.js';
import { imageAt, readEvents } from './as-of.js';
import { configKeys } from './config-keys.js';
import { type EventLine, eventLine } from './event-line.js';
import { imageNamed, type LayerLine, layersOf } from './image-card.js';
import type { Reading } from './reading.js';
import type { ReferenceChange } from './timeline.js';

/** A name, image or artifact that is not the same at two moments: as `imagelog diff` tells it. */
export interface Difference {
  readonly kind: 'reference' | 'image' | 'artifact';
  readonly change: 'added' | 'removed' | 'changed';
  /** Canonical reference, image id, or digest of an artifact. */
  readonly key: string;
  readonly name: string;
  /** What the name pointed at, or the image or artifact itself; undefined where it was not there. */
  readonly before: Digest | undefined;
  readonly after: Digest | undefined;
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
  /** Whether there are more images and artifacts: too many came and went. */
  readonly isCut: boolean;
}

/** Events of images and artifacts that are read between two moments. */
const MOST_LIFE_EVENTS = 50_000;

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
  const counts = { reference: none(), image: none(), artifact: none() };
  for (const { kind, change } of all) counts[kind][change] += 1;
  return counts;
}

async function namesThatDiffer(reading: Reading, from: number, to: number): Promise<Found[]> {
  const { timeline } = reading;
  const found: Found[] = [];
  for (const [row, reference] of timeline.names.texts.entries()) {
    const after = thereIn(timeline.referenceAt(row, to));
    const before = thereIn(timeline.referenceAt(row, from));
    if (after?.seq === before?.seq || (await isSame(reading, before, after))) continue;
    const seq = timeline.eventsOfReference(row).findLast((each) => each <= to) ?? to;
    const name = familiarReference(reference);
    found.push({
      kind: 'reference',
      change: changeOf(before, after),
      key: reference,
      name,
      ...sides(before, after),
      seq,
    });
  }
  return found.sort((a, b) => a.seq - b.seq);
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

function sides(before?: ReferenceChange, after?: ReferenceChange): Pick<Difference, 'before' | 'after'> {
  return { before: before?.image ?? before?.target, after: after?.image ?? after?.target };
}

/** Images and artifacts that are there at one of two moments only. */
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
  const isCut = seqs.length > MOST_LIFE_EVENTS;
  const lives = new Map<
    Digest,
    { readonly kind: 'image' | 'artifact'; wasThere: boolean; isThere: boolean; seq: number }
  >();
  for (const event of await readEvents(reading, seqs.slice(-MOST_LIFE_EVENTS))) {
    const life = lifeOf(event);
    if (life === undefined) continue;
    const { digest, kind, isThere, wasThere } = life;
    const known = lives.get(digest) ?? { kind, wasThere, isThere, seq: event.seq };
    lives.set(digest, { ...known, isThere, seq: event.seq });
  }
  const found = [...lives].flatMap(([digest, { kind, wasThere, isThere, seq }]): Found[] => {
    if (wasThere === isThere) return [];
    const [before, after] = wasThere ? [digest, undefined] : [undefined, digest];
    return [{ kind, change: changeOf(before, after), key: digest, name: digest, before, after, seq }];
  });
  const rank = ({ kind, seq }: Found): number => (kind === 'image' ? 0 : timeline.last + 1) + seq;
  return { found: found.sort((a, b) => rank(a) - rank(b)), isCut };
}

const LIVES: ReadonlySet<StoredEvent['type']> = new Set([
  'ImageCreated',
  'ImageDeleted',
  'ArtifactAdded',
  'ArtifactRemoved',
]);

/** Whose life an event begins or ends, and whether it was there before and is after. */
interface Life {
  readonly digest: Digest;
  readonly kind: 'image' | 'artifact';
  readonly wasThere: boolean;
  readonly isThere: boolean;
}

function lifeOf(event: StoredEvent): Life | undefined {
  switch (event.type) {
    case 'ImageCreated':
      return { digest: event.image, kind: 'image', wasThere: false, isThere: true };
    case 'ImageDeleted':
      return { digest: event.image, kind: 'image', wasThere: true, isThere: false };
    case 'ArtifactAdded':
      return { digest: event.artifact.digest, kind: 'artifact', wasThere: false, isThere: true };
    case 'ArtifactRemoved':
      return { digest: event.artifact.digest, kind: 'artifact', wasThere: true, isThere: false };
    default:
      return undefined;
  }
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
