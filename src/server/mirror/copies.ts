import { Readable } from 'node:stream';
import { isStoreError } from '../../errors.js';
import { MIRROR_WAIT_MS } from '../../limits.js';
import type { Digest } from '../../model/digest.js';
import { inParallel } from '../../registry-client/parallel.js';
import type { RegistryClient, RegistryManifest } from '../../registry-client/registry-client.js';
import type { ByteRange, RegistryBlob, RegistryDocument, RegistryStore } from '../../store/registry-store.js';
import { linksOf } from '../../store/registry/pushed-manifest.js';
import type { WriteOptions } from '../../store/store.js';
import type { Upstreams } from './upstreams.js';

/** What `within` resolves with when there is no answer in time. */
export const LATE = Symbol('late');

/** Resolves with the answer, or with LATE after `ms`: it may still come, or fail without harm. */
export async function within<Answer>(ms: number, answer: Promise<Answer>): Promise<Answer | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), ms).unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whose blobs a mirror stages. */
const OWNER = 'mirror';

/** A manifest or index to copy from upstream. */
interface Copy {
  /** Canonical. */
  readonly repository: string;
  readonly digest: Digest;
  /** Set in the same transaction. */
  readonly tag?: string | undefined;
  readonly origin: WriteOptions;
  /** Called once it is in the store. */
  readonly onKept?: () => void;
  /** Called when it failed; `isLate` if a reader was sent off before with what is coming. */
  readonly onFailed?: (error: unknown, isLate: boolean) => Promise<void>;
}

interface Running {
  readonly repository: string;
  readonly manifest: Promise<RegistryManifest>;
  readonly end: Promise<void>;
  blobs: ReturnType<typeof linksOf>['blobs'];
  isLate: boolean;
}

/** Copies manifests with all that they name from upstream into the store. */
export class Copies {
  readonly #registry: RegistryStore;
  readonly #upstreams: Upstreams;
  readonly #running = new Map<string, Running>();

  constructor(registry: RegistryStore, upstreams: Upstreams) {
    this.#registry = registry;
    this.#upstreams = upstreams;
  }

  /**
   * Copies a manifest, or waits for a copy that runs. Resolves once it is in the store, or after
   * MIRROR_WAIT_MS with what is coming. Throws what upstream or store fails with before that.
   */
  async copy(copy: Copy): Promise<RegistryDocument | undefined> {
    // A second tag of the same manifest is a separate push.
    const key = `${copy.repository}@${copy.digest} ${copy.tag ?? ''}`;
    const running = this.#running.get(key) ?? this.#begin(key, copy);
    const manifest = await running.manifest;
    if ((await within(MIRROR_WAIT_MS, running.end)) !== LATE) return undefined;
    running.isLate = true;
    return { ...manifest, name: copy.digest };
  }

  /** Returns a blob that is being copied, read from upstream; undefined if it is not. */
  blob(repository: string, digest: Digest): RegistryBlob | undefined {
    for (const running of this.#running.values()) {
      const link = running.repository === repository && running.blobs.find(({ name }) => name === digest);
      if (!link) continue;
      const read = (range?: ByteRange): Readable =>
        Readable.from(this.#rangeOf(repository, digest, range), { objectMode: false });
      return { digest, size: link.target.size, read };
    }
    return undefined;
  }

  async *#rangeOf(repository: string, digest: Digest, range: ByteRange | undefined): AsyncGenerator<Uint8Array> {
    const { client, release } = this.#upstreams.use(repository);
    try {
      let left = range === undefined ? Infinity : range.last - range.first + 1;
      for await (const chunk of client.blob(digest, { offset: range?.first ?? 0 })) {
        yield chunk.subarray(0, left);
        left -= chunk.length;
        if (left <= 0) return;
      }
    } finally {
      release();
    }
  }

  #begin(key: string, copy: Copy): Running {
    const { repository, digest, onKept, onFailed } = copy;
    const manifest = this.#upstreams.with(repository, (client) => client.manifest(digest));
    const end = manifest
      .then(async (found) => {
        running.blobs = linksOf(found.bytes, undefined).blobs;
        await this.#upstreams.with(repository, (client) => this.#keep(copy, client, found));
        onKept?.();
      })
      .catch(async (error: unknown) => {
        await onFailed?.(error, running.isLate);
        throw error;
      })
      .finally(() => this.#running.delete(key));
    // Its readers get the failure, or left before.
    end.catch(() => undefined);
    const running: Running = { repository, manifest, end, blobs: [], isLate: false };
    this.#running.set(key, running);
    return running;
  }

  /** Stages what the manifest names, and pushes it: one transaction. */
  async #keep(copy: Copy, client: RegistryClient, { descriptor, bytes }: RegistryManifest): Promise<void> {
    const { repository, tag, origin } = copy;
    const registry = this.#registry;
    const missing = new Set(linksOf(bytes, undefined).blobs.map(({ target }) => target.digest));
    const stage = async (digest: Digest): Promise<void> => {
      if (registry.blob(repository, digest) === undefined) await this.#stage(repository, client, digest);
    };
    await inParallel(missing, stage, () => undefined);
    const tags = tag === undefined ? [] : [tag];
    const request = { repository, mediaType: descriptor.mediaType, bytes, name: descriptor.digest, tags };
    const push = (): Promise<unknown> => registry.push(request, { ...origin, via: 'mirror' });
    try {
      await push();
    } catch (error) {
      const lacking = isStoreError(error, 'BLOB_NOT_FOUND') ? childrenIn(bytes, error.data) : [];
      if (lacking.length === 0) throw error;
      // Another repository has them: this one gets them from its own upstream, or not at all.
      for (const child of lacking) await this.#keep({ ...copy, tag: undefined }, client, await client.manifest(child));
      await push();
    }
  }

  async #stage(repository: string, client: RegistryClient, digest: Digest): Promise<void> {
    const { uploads } = this.#registry;
    try {
      if (await this.#isSameUpstream(repository, client, digest)) {
        await uploads.mount(repository, digest, OWNER);
        return;
      }
    } catch (error) {
      if (!isStoreError(error, 'CONTENT_NOT_FOUND')) throw error;
    }
    const upload = await uploads.start(repository, OWNER);
    try {
      await upload.append(client.blob(digest), 0);
      await upload.finish(digest);
    } catch (error) {
      await upload.cancel().catch(() => undefined);
      // A foreign layer is elsewhere, as its manifest says; the push decides whether it may be missing.
      if (!isStoreError(error, 'REGISTRY_NOT_FOUND')) throw error;
    }
  }

  /**
   * Whether the blob came from the same registry, which says that this repository has it too: what a
   * manifest names may be another repository's secret.
   */
  async #isSameUpstream(repository: string, client: RegistryClient, digest: Digest): Promise<boolean> {
    const hostOf = (name: string): string | undefined => this.#upstreams.of(name)?.host;
    const host = hostOf(repository);
    return this.#registry.repositoriesWith(digest).some((other) => hostOf(other) === host) && client.hasBlob(digest);
  }
}

/** The manifests and indexes that an index names among what its repository lacks. */
function childrenIn(bytes: Uint8Array, { digests }: Readonly<Record<string, unknown>>): Digest[] {
  const lacking = Array.isArray(digests) ? digests : [];
  const children = new Set(linksOf(bytes, undefined).manifests.map(({ target }) => target.digest));
  return [...children].filter((digest) => lacking.includes(digest));
}
