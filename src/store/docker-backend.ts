import type { OptionNames } from '../model/option-names.js';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isStoreError, StoreError } from '../errors.js';
import { type Digest, digestHex, digestOf, type ImageId, isDigest, parseDigest } from '../model/digest.js';
import { mustBeOptions, mustBeString, mustBeText } from './argument-types.js';
import { checkMetadataKey, metadataNotFound, PARENT_KEY } from './commands/metadata.js';
import { imageNotFound, NotedState } from './commands/decision.js';
import {
  ioFailure,
  makeDurableDirectory,
  Mutex,
  readRegularFileSync,
  removeDurably,
  writeDurableFile,
} from './files/files.js';
import type { DigestWalkFunc, LayerGetReleaser, Store, StoreBackend } from './store.js';
import { createViews, type ViewSet } from '../../projections/views.js';
import { hostOs } from '../model/platform.js';
import { checkOS, type Image, newFromJSON } from '../model/image.js';
import { StoredConfig } from '../model/stored-image.js';
import type { EventBody } from '../model/events.js';
import { chainOf, imageCreated } from './commands/images.js';
import { readClock } from '../model/timestamp.js';
import { HeldLayers } from './layers/layer-store.js';
import { ImageStore } from './images.js';
import { type Command, type Origin, stampEvents, type Writer } from './writer.js';

/** Implements `newFSStoreBackend` of the library; see there. */
export async function newFSStoreBackend(root: string): Promise<StoreBackend> {
  mustBeString('root', root);
  mustBeText('root', root);
  const backend = new FilesystemBackend(root);
  await backend.makeDirectories();
  return backend;
}

class FilesystemBackend implements StoreBackend {
  readonly #root: string;
  readonly #content: string;
  readonly #metadata: string;

  constructor(root: string) {
    this.#root = root;
    this.#content = join(root, 'content', 'sha256');
    this.#metadata = join(root, 'metadata', 'sha256');
  }

  async makeDirectories(): Promise<void> {
    for (const folder of ['content', 'metadata']) await makeDurableDirectory(this.#root, `${folder}/sha256`);
  }

  walk(visit: DigestWalkFunc): void {
    let names: readonly string[];
    try {
      names = readdirSync(this.#content);
    } catch (error) {
      throw ioFailure(`read ${this.#content}`, error);
    }
    for (const digest of names.map((name) => `sha256:${name}`)) if (isDigest(digest)) visit(digest);
  }

  get(digest: Digest): Uint8Array {
    const bytes = readRegularFileSync(this.#contentFile(digest));
    if (bytes === undefined) throw imageNotFound(digest);
    if (digestOf(bytes) === digest) return bytes;
    const message = `the content ${digest} is damaged: its bytes have another digest`;
    throw new StoreError('CONTENT_CORRUPT', message, { data: { digest } });
  }

  async set(data: Uint8Array): Promise<Digest> {
    if (data.length === 0) throw new StoreError('CONFIG_INVALID', 'cannot keep empty data as an image config');
    const digest = digestOf(data);
    await writeDurableFile(this.#contentFile(digest), data);
    return digest;
  }

  async delete(digest: Digest): Promise<void> {
    const file = this.#contentFile(digest);
    if (readRegularFileSync(file) === undefined) throw imageNotFound(digest);
    // Metadata first: a crash in between leaves an image without metadata, never the reverse.
    await removeDurably(this.#metadataDirectory(digest));
    await removeDurably(file);
  }

  async setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void> {
    this.get(digest);
    const file = this.#metadataFile(digest, key);
    await makeDurableDirectory(this.#root, `metadata/sha256/${digestHex(checkedDigest(digest))}`);
    await writeDurableFile(file, value);
  }

  getMetadata(digest: Digest, key: string): Uint8Array {
    this.get(digest);
    const value = readRegularFileSync(this.#metadataFile(digest, key));
    if (value === undefined) throw metadataNotFound(digest, key);
    return value;
  }

  async deleteMetadata(digest: Digest, key: string): Promise<void> {
    await removeDurably(this.#metadataFile(digest, key));
  }

  // Checks a digest before it becomes part of a path.
  #contentFile(digest: string): string {
    return join(this.#content, digestHex(checkedDigest(digest)));
  }

  #metadataDirectory(digest: string): string {
    return join(this.#metadata, digestHex(checkedDigest(digest)));
  }

  #metadataFile(digest: string, key: string): string {
    checkMetadataKey(key);
    return join(this.#metadataDirectory(digest), key);
  }
}

// An invalid digest counts as not found: in Docker's layout there is no such file.
function checkedDigest(digest: string): Digest {
  if (isDigest(digest)) return parseDigest(digest);
  throw imageNotFound(digest);
}

/** Options of `newImageStore`. */
export interface ImageStoreOptions {
  /** The operating system that images with layers must be for; default `host`, as in Docker. */
  readonly os?: 'any' | 'host' | (string & {}) | undefined;
  readonly actor?: string | undefined;
  /** The clock, milliseconds since the epoch; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const imageStoreOptionNames: OptionNames<ImageStoreOptions> = { os: true, actor: true, now: true };

/** Implements `newImageStore` of the library; see there. */
export async function newImageStore(
  backend: StoreBackend,
  layers: LayerGetReleaser,
  options: ImageStoreOptions = {},
): Promise<Store> {
  mustBeOptions(options, imageStoreOptionNames);
  const { os = 'host', actor = 'imagelog' } = options;
  const now = (): number => readClock(options.now ?? Date.now);
  const policy = { os: requiredOs(os), needsLayers: false };
  const viewSet = createViews();
  const heldLayers = new HeldLayers(layers);
  const port = new BackendPort(backend, viewSet, now);
  await restoreImages(backend, heldLayers, policy.os, (events) => port.fold(events));
  return new ImageStore({
    views: viewSet.views,
    writer: port,
    readConfig: (id) => new StoredConfig(backend.get(id)),
    backendMetadata: (id, key) => unlessNotFound(() => backend.getMetadata(id, key)),
    checkOpen: () => undefined,
    policy,
    heldLayers,
    actor,
    now,
  });
}

const NO_HOLDS = { holdsOf: () => 0 };
const RESTORED: Origin = { actor: 'restore', reason: undefined, requestId: undefined };

/**
 * Applies the image store's decisions to a StoreBackend, one command at a time. Seqs count this
 * process's changes only: a backend stores state, not history.
 */
class BackendPort implements Pick<Writer, 'submit'> {
  readonly #backend: StoreBackend;
  readonly #viewSet: ViewSet;
  readonly #now: () => number;
  readonly #mutex = new Mutex();
  #seq = 0;

  constructor(backend: StoreBackend, viewSet: ViewSet, now: () => number) {
    this.#backend = backend;
    this.#viewSet = viewSet;
    this.#now = now;
  }

  submit<Result>(command: Command<Result>): Promise<Result> {
    return this.#mutex.run(() => this.#run(command));
  }

  /** Folds events describing what the backend already holds. */
  fold(bodies: readonly EventBody[], origin: Origin = RESTORED): void {
    const events = stampEvents(bodies, origin, { first: this.#seq + 1, time: this.#now() });
    this.#seq += events.length;
    this.#viewSet.fold(events);
  }

  async #run<Result>({ decide, origin, accepted }: Command<Result>): Promise<Result> {
    const { events, content, result } = decide(new NotedState(this.#viewSet.views, NO_HOLDS));
    accepted?.(result);
    for (const event of events) {
      await this.#apply(event, content ?? new Map());
      // Fold one by one: if a later one fails, the views still match the backend.
      this.fold([event], origin);
    }
    return result;
  }

  async #apply(event: EventBody, content: ReadonlyMap<Digest, Uint8Array | undefined>): Promise<void> {
    const backend = this.#backend;
    switch (event.type) {
      case 'ImageCreated':
        await backend.set(content.get(event.image) ?? new Uint8Array());
        break;
      case 'ImageDeleted':
        await backend.delete(event.image);
        break;
      case 'ParentSet':
        await backend.setMetadata(event.image, PARENT_KEY, new TextEncoder().encode(event.parent));
        break;
      case 'ParentCleared':
        await backend.deleteMetadata(event.image, PARENT_KEY);
        break;
      case 'MetadataSet':
        await backend.setMetadata(event.image, event.key, event.value);
        break;
      case 'MetadataCleared':
        await backend.deleteMetadata(event.image, event.key);
        break;
      default:
        throw new StoreError('INTERNAL', `a backend cannot keep ${event.type}`);
    }
  }
}

/** Returns the operating system an `os` option requires; undefined for any. */
export function requiredOs(os: string): string | undefined {
  if (os === 'any') return undefined;
  return os === 'host' ? hostOs() : os;
}

async function restoreImages(
  backend: StoreBackend,
  heldLayers: HeldLayers,
  os: string | undefined,
  fold: (events: readonly EventBody[]) => void,
): Promise<void> {
  const ids: ImageId[] = [];
  backend.walk((digest) => ids.push(digest as ImageId));
  const restored = new Set<ImageId>();
  for (const id of ids) {
    const config = backend.get(id);
    const image = orUndefined(
      () => newFromJSON(config),
      ({ code }) => code === 'CONFIG_INVALID',
    );
    if (image === undefined || !(await takeLayers(id, image, heldLayers, os))) continue;
    restored.add(id);
    fold([imageCreated({ id, config, image })]);
  }
  // Parents in a second pass: the walk may visit a child first.
  for (const id of restored) {
    const parent = unlessNotFound(() => backend.getMetadata(id, PARENT_KEY));
    const parentId = parent === undefined ? '' : new TextDecoder().decode(parent);
    if (isDigest(parentId) && restored.has(parentId as ImageId)) {
      fold([{ type: 'ParentSet', image: id, parent: parentId as ImageId }]);
    }
  }
}

async function takeLayers(id: ImageId, image: Image, heldLayers: HeldLayers, os: string | undefined): Promise<boolean> {
  const chainId = chainOf(image);
  if (chainId === undefined) return true;
  return (os === undefined || isFor(image, os)) && heldLayers.tryTake(id, chainId);
}

function isFor(image: Image, os: string): boolean {
  const isChecked = (): true => {
    checkOS(image.operatingSystem(), os);
    return true;
  };
  return orUndefined(isChecked, ({ code }) => code === 'OS_UNSUPPORTED') ?? false;
}

function unlessNotFound<Value>(read: () => Value): Value | undefined {
  return orUndefined(read, ({ kind }) => kind === 'NotFound');
}

/** Returns what `read` returns; undefined when it throws an error that `isExpected`. */
function orUndefined<Value>(read: () => Value, isExpected: (error: StoreError) => boolean): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (isStoreError(error) && isExpected(error)) return undefined;
    throw error;
  }
}
