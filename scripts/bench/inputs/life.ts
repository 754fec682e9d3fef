import { type ChainId, type Digest, digestOf, type ImageId } from '../../../src/model/digest.js';
import type { EventBody } from '../../../src/model/events.js';
import { createChainId } from '../../../src/model/rootfs.js';
import { BUILT_LOCALLY_KEY, LAST_UPDATED_KEY } from '../../../src/store/commands/metadata.js';
import type { Origin } from '../../../src/store/writer.js';
import { createdAt, imageConfig, imageLayers } from './image-configs.js';
import { LifeState, LiveImage } from './life-state.js';
import type { SeededRandom } from './seeded-random.js';

/** Images created per event: 300,000 in a log of 1,000,000. */
const IMAGES_PER_EVENT = 0.3;

/** One command of a synthetic life. */
export interface LifeTransaction {
  readonly events: readonly EventBody[];
  readonly content: ReadonlyMap<Digest, Uint8Array>;
  readonly origin: Origin;
}

const SERVICES = 20;
/** Tags of every service that move constantly: some thousand times each in 1,000,000 events. */
const MOVING_TAGS = ['prod', 'staging', 'latest'];
/** The first images are bases of many others, and stay. */
const BASES = 50;
/** Deploys, tags and builds mostly use one of the newest images. */
const NEWEST = 200;
/** Events left for single-event commands at the end: more than the largest command has. */
const LAST_EVENTS = 500;
const LARGEST_LOAD = 100;

const BUILDERS = Array.from({ length: 8 }, (_, at) => `ci@build-${at + 1}`);
const PEOPLE = ['ana', 'ben', 'chris', 'dora', 'emil'];
const utf8 = new TextEncoder();

/**
 * Yields commands that fill a store realistically, `size` events in all: images built and loaded,
 * alone and in hundreds, many based on others, some sharing layers; a few names move constantly,
 * most rarely; images get metadata, lose their names and are deleted.
 */
export function* lifeTransactions(size: number, random: SeededRandom): Generator<LifeTransaction> {
  const life = new Life(random);
  for (let left = size; left > 0; ) {
    const transaction = life.next(left, (size - left + 1) * IMAGES_PER_EVENT);
    if (transaction.events.length > left) throw new RangeError('a command has more events than are left');
    left -= transaction.events.length;
    if (transaction.events.length > 0) yield transaction;
  }
}

/** Returns the names that move constantly. */
export function movingReferences(): string[] {
  return Array.from({ length: SERVICES }, (_, at) => MOVING_TAGS.map((tag) => `${service(at)}:${tag}`)).flat();
}

class Life {
  readonly #random: SeededRandom;
  readonly #state = new LifeState();
  readonly #moving = movingReferences();
  readonly #bases: LiveImage[] = [];
  /** Images in the store except bases, in creation order until the first deletion. */
  readonly #images: LiveImage[] = [];
  readonly #versions: string[] = [];
  #created = 0;
  #content = new Map<Digest, Uint8Array>();

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Returns a command of at most `left` events; it creates images while fewer than `due` exist. */
  next(left: number, due: number): LifeTransaction {
    this.#content = new Map();
    const [events, actors] =
      this.#created < due
        ? [left > LAST_EVENTS ? this.#build() : this.#create(), BUILDERS]
        : [left > LAST_EVENTS ? this.#maintain() : this.#touch(), PEOPLE];
    return { events, content: this.#content, origin: this.#originOf(actors) };
  }

  #originOf(actors: readonly string[]): Origin {
    const random = this.#random;
    return {
      actor: random.pick(actors),
      reason: random.happens(0.3) ? `release ${random.between(1, 9)}.${random.between(0, 99)}` : undefined,
      requestId: random.happens(0.3) ? `REQ-${random.between(1, 100_000)}` : undefined,
    };
  }

  #build(): EventBody[] {
    const count = this.#imagesOfLoad();
    return Array.from({ length: count }, () => this.#buildOne()).flat();
  }

  #imagesOfLoad(): number {
    if (this.#random.happens(0.9)) return 1;
    return this.#random.happens(0.95) ? this.#random.between(2, 8) : this.#random.between(20, LARGEST_LOAD);
  }

  #buildOne(): EventBody[] {
    const random = this.#random;
    const parent = this.#created < BASES ? undefined : this.#parentOfNext();
    const created = this.#create();
    const image = (this.#images.at(-1) ?? this.#bases.at(-1)) as LiveImage;
    const parentSet = parent === undefined ? [] : this.#state.setParent(image, parent);
    const version = random.happens(0.5) ? this.#state.point(this.#newVersion(), image) : [];
    const moved = random.happens(0.3) ? this.#state.point(random.pick(this.#moving), image) : [];
    return [...created, ...parentSet, ...version, ...moved];
  }

  #create(): EventBody[] {
    const index = this.#created++;
    const layers = imageLayers(this.#random.happens(0.2) ? this.#random.between(0, index) : index);
    const config = imageConfig(index, layers);
    const image = digestOf(config) as ImageId;
    const chainId = createChainId(layers) as ChainId;
    (index < BASES ? this.#bases : this.#images).push(new LiveImage(image, chainId));
    this.#content.set(image, config);
    const created = createdAt(index);
    return [{ type: 'ImageCreated', image, size: config.length, chainId, os: 'linux', architecture: 'amd64', created }];
  }

  #parentOfNext(): LiveImage | undefined {
    if (this.#random.happens(0.55)) return undefined;
    return this.#random.happens(0.3) ? this.#random.pick(this.#bases) : this.#newest();
  }

  #newVersion(): string {
    const name = `${service(this.#random.between(0, SERVICES - 1))}:1.0.${this.#versions.length}`;
    this.#versions.push(name);
    return name;
  }

  #oldVersion(): string {
    return this.#versions.length === 0 ? this.#newVersion() : this.#random.pick(this.#versions);
  }

  #maintain(): EventBody[] {
    const chance = this.#random.fraction();
    if (chance < 0.4) return this.#state.point(this.#random.pick(this.#moving), this.#newest());
    if (chance < 0.6) return this.#state.point(this.#oldVersion(), this.#newest());
    if (chance < 0.8) return this.#touch();
    if (chance < 0.85) return this.#state.clearMetadata(this.#newest(), 'stage');
    if (chance < 0.9) return this.#state.removeReference(this.#oldVersion());
    return this.#delete();
  }

  #touch(): EventBody[] {
    const image = this.#newest();
    const chance = this.#random.fraction();
    if (chance < 0.5) return this.#state.setMetadata(image, LAST_UPDATED_KEY, utf8.encode(createdAt(this.#created)));
    if (chance < 0.7) return this.#state.setMetadata(image, BUILT_LOCALLY_KEY, Uint8Array.of(0x31));
    return this.#state.setMetadata(image, 'stage', utf8.encode(`tested in run ${this.#created}`));
  }

  #delete(): EventBody[] {
    if (this.#images.length < NEWEST) return [];
    const at = this.#random.between(0, this.#images.length - 1);
    const image = this.#images[at] as LiveImage;
    // Fills the hole with the newest image: deletion is random, so order hardly matters.
    const last = this.#images.pop() as LiveImage;
    if (last !== image) this.#images[at] = last;
    return this.#state.delete(image);
  }

  #newest(): LiveImage {
    const { length } = this.#images;
    if (length === 0) return this.#random.pick(this.#bases);
    return this.#images[this.#random.between(Math.max(0, length - NEWEST), length - 1)] as LiveImage;
  }
}

function service(at: number): string {
  return `docker.io/shop/service-${at}`;
}
