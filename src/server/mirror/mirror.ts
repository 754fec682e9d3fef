import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError, StoreError } from '../../errors.js';
import { MIRROR_LOOK_MS, MIRROR_WAIT_MS } from '../../limits.js';
import { type Descriptor, type Digest, isDigest } from '../../model/digest.js';
import { familiarReference } from '../../model/reference.js';
import { inParallel } from '../../registry-client/parallel.js';
import type { FindCredentials } from '../../registry-client/credentials.js';
import { RegistryClient, type RegistryManifest } from '../../registry-client/registry-client.js';
import { RegistrySession } from '../../registry-client/registry-session.js';
import type { ByteRange, RegistryBlob, RegistryDocument, RegistryStore } from '../../store/registry-store.js';
import { linksOf } from '../../store/registry/links.js';
import type { WriteOptions } from '../../store/store.js';
import { HttpFailure } from '../failure.js';
import { type CompiledRule, compileRule, type MirrorRule } from './rules.js';
import { type Sighted, Sightings } from './sightings.js';
import { type ClientUse, UpstreamClients } from './upstream-clients.js';

/** What the answer to a reader says beside the manifest. */
export interface Sighting {
  /** What is still being copied into the store, where that takes long. */
  readonly document?: RegistryDocument | undefined;
  /** What the reader should know: the upstream is gone, or moved the tag. */
  readonly warning?: string | undefined;
}

interface MirrorParts {
  readonly registry: RegistryStore;
  readonly credentials?: FindCredentials | undefined;
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
  readonly signal: AbortSignal;
}

/** Whose blobs a mirror stages. */
const OWNER = 'mirror';

/** What is being copied: its manifest is here, its blobs are not. */
interface Arriving {
  readonly document: RegistryDocument;
  readonly done: Promise<unknown>;
}

/**
 * Copies repositories of other registries as they are asked for, and records what their tags stood
 * for: each sighting of a tag that differs from the last is an event.
 */
export class Mirror {
  readonly #parts: MirrorParts;
  readonly #rules: readonly CompiledRule[];
  readonly #clients = new UpstreamClients();
  readonly #sightings: Sightings;
  readonly #looking = new Map<string, Promise<Sighting>>();
  readonly #arriving = new Map<string, Arriving>();

  /** @throws {TypeError} for a rule that cannot be used; StoreError FILTER_INVALID */
  constructor(rules: readonly MirrorRule[], parts: MirrorParts) {
    this.#parts = parts;
    this.#sightings = new Sightings(parts.now);
    this.#rules = rules.map(compileRule);
    for (const rule of this.#rules) if (rule.watch.length > 0) void this.#watch(rule);
  }

  /** Returns where a repository, by its canonical name, comes from; undefined if it is this server's own. */
  upstreamOf(repository: string): string | undefined {
    const upstream = this.#ruleOf(repository)?.upstreamOf(repository);
    return upstream && `${upstream.host}/${upstream.path}`;
  }

  /**
   * Looks up what a tag or digest is upstream, and has it copied into the store. Resolves once it is
   * there, or after MIRROR_WAIT_MS with what is coming.
   * @throws {HttpFailure} UPSTREAM_FAILED when neither upstream nor store has an answer
   */
  async look(repository: string, reference: string, origin: WriteOptions): Promise<Sighting> {
    const rule = this.#ruleOf(repository);
    if (rule === undefined) return {};
    return this.#shared(`${repository} ${reference}`, () => this.#look({ rule, repository, origin }, reference));
  }

  /** Returns a blob that is being copied into the store, read from upstream; undefined if it is not. */
  blob(repository: string, digest: Digest): RegistryBlob | undefined {
    const rule = this.#ruleOf(repository);
    if (rule === undefined) return undefined;
    for (const [key, { document }] of this.#arriving) {
      if (!key.startsWith(`${repository}@`)) continue;
      const link = linksOf(document.bytes, undefined).blobs.find(({ name }) => name === digest);
      if (link === undefined) continue;
      const use = (): ClientUse => this.#use(rule, repository);
      const read = (range?: ByteRange): Readable => Readable.from(rangeOf(use, digest, range), { objectMode: false });
      return { digest, size: link.target.size, read };
    }
    return undefined;
  }

  /** Readers at the same time share one look. */
  #shared(key: string, look: () => Promise<Sighting>): Promise<Sighting> {
    const running = this.#looking.get(key);
    if (running !== undefined) return running;
    const looking = look().finally(() => this.#looking.delete(key));
    this.#looking.set(key, looking);
    return looking;
  }

  async #look(place: Place, reference: string): Promise<Sighting> {
    const { rule, repository } = place;
    const { registry } = this.#parts;
    const known = registry.manifest(repository, reference);
    if (isDigest(reference)) {
      return known === undefined ? this.#copy(place, reference, undefined) : {};
    }
    const fresh = this.#sightings.fresh(repository, reference, rule.freshMs);
    if (known !== undefined && fresh !== undefined) return { warning: fresh.warning };
    let found: Descriptor | undefined;
    try {
      const looking = this.#with(place, (client) => client.head(reference));
      found = known === undefined ? await looking : await inTime(looking);
    } catch (error) {
      return answerWithout(known, `${familiarReference(repository)} cannot be reached upstream`, error);
    }
    if (found === undefined) return known === undefined ? {} : this.#gone(place, reference);
    if (found.digest === known?.descriptor.digest) {
      this.#sightings.note(repository, reference, { upstream: found.digest });
      return {};
    }
    if (known !== undefined && !rule.mayMove(reference)) {
      return this.#differs(place, { tag: reference, known: known.descriptor.digest, found: found.digest });
    }
    return this.#copy(place, found.digest, reference);
  }

  #gone({ repository }: Place, tag: string): Sighting {
    const warning = `${tag} is no longer upstream`;
    this.#sightings.note(repository, tag, { upstream: this.#sightings.last(repository, tag)?.upstream, warning });
    return { warning };
  }

  /** The tag is here, and something else upstream: the rule decides. */
  async #differs(place: Place, { tag, known, found }: Difference): Promise<Sighting> {
    const { rule, repository } = place;
    const last = this.#sightings.last(repository, tag);
    const isTold = last?.upstream === found && last.difference !== undefined;
    const difference = isTold ? last.difference : differenceOf(`${repository}:${tag}`, { known, found, last });
    if (rule.movedTags === 'refuse') {
      const warning = `${difference}; refused, the tag stays`;
      this.#sightings.note(repository, tag, { upstream: found, difference, warning });
      if (!isTold) this.#parts.onNotice(warning);
      this.#keepRefused(place, found, difference);
      return { warning };
    }
    // Until it is here it is looked up again, and not told again.
    this.#sightings.note(repository, tag, { upstream: found, difference }, { stale: true });
    const isFlagged = rule.movedTags === 'flag';
    if (isFlagged && !isTold) this.#parts.onNotice(difference);
    const warning = isFlagged ? difference : undefined;
    const origin = { ...place.origin, reason: place.origin.reason ?? difference };
    return { ...(await this.#copy({ ...place, origin, warning }, found, tag)), ...(isFlagged ? { warning } : {}) };
  }

  /** Keeps what a tag should not become by its digest: the log has who saw it and when. */
  #keepRefused(place: Place, found: Digest, difference: string): void {
    if (this.#parts.registry.manifest(place.repository, found) !== undefined) return;
    const origin = { ...place.origin, reason: `refused: ${difference}` };
    // Its reader gets what was there before: the copy is for who looks into it.
    const copying = this.#shared(`${place.repository} ${found}`, () =>
      this.#copy({ ...place, origin }, found, undefined),
    );
    copying.catch((error: unknown) => this.#parts.onNotice(textOf(error)));
  }

  async #copy(place: Place, digest: Digest, tag: string | undefined): Promise<Sighting> {
    const { repository } = place;
    // A second tag of the same manifest is a separate push.
    const key = `${repository}@${digest} ${tag ?? ''}`;
    let arriving = this.#arriving.get(key);
    if (arriving === undefined) {
      let manifest: RegistryManifest;
      try {
        manifest = await this.#with(place, (client) => client.manifest(digest));
      } catch (error) {
        if (isStoreError(error, 'REGISTRY_NOT_FOUND')) return {};
        const known = this.#parts.registry.manifest(repository, tag ?? digest);
        return answerWithout(known, `${familiarReference(repository)} cannot be reached upstream`, error);
      }
      const document = { ...manifest, name: digest };
      const keeping = this.#with(place, (client) => this.#keep({ ...place, client }, manifest, tag));
      const done = keeping.finally(() => this.#arriving.delete(key));
      arriving = { document, done };
      this.#arriving.set(key, arriving);
    }
    // The failure of a copy that outlives its first reader is reported to the operator.
    const outcome = arriving.done.then(
      () => 'kept' as const,
      (error: unknown) => ({ error }),
    );
    const { promise: late, end: stopWaiting } = lateAfter(MIRROR_WAIT_MS);
    const end = await Promise.race([outcome, late]);
    stopWaiting();
    if (end === 'kept') return {};
    if (end === 'late') {
      void outcome.then((late) => {
        if (late !== 'kept')
          this.#parts.onNotice(`cannot copy ${familiarReference(`${repository}@${digest}`)}: ${textOf(late.error)}`);
      });
      return { document: arriving.document };
    }
    throw upstreamFailed(`cannot copy ${familiarReference(`${repository}@${digest}`)}`, end.error);
  }

  /** Stages what the manifest names, and pushes it: one transaction. */
  async #keep(place: CopyPlace, { descriptor, bytes }: RegistryManifest, tag: string | undefined): Promise<void> {
    const { repository, origin, warning, client } = place;
    const { registry } = this.#parts;
    const blobs = linksOf(bytes, undefined).blobs.map(({ target }) => target);
    const missing = new Map(blobs.map((blob) => [blob.digest, blob]));
    const stage = async (digest: Digest): Promise<void> => {
      if (registry.blob(repository, digest) === undefined) await this.#stage(place, digest);
    };
    await inParallel(missing.keys(), stage, () => undefined);
    const tags = tag === undefined ? [] : [tag];
    const request = { repository, mediaType: descriptor.mediaType, bytes, name: descriptor.digest, tags };
    const push = (): Promise<unknown> => registry.push(request, { ...origin, via: 'mirror' });
    try {
      await push();
    } catch (error) {
      const lacking = isStoreError(error, 'BLOB_NOT_FOUND') ? childrenIn(bytes, error.data) : [];
      if (lacking.length === 0) throw error;
      // Another repository has them: this one gets them from its own upstream, or not at all.
      for (const child of lacking) await this.#keep(place, await client.manifest(child), undefined);
      await push();
    }
    if (tag !== undefined) this.#sightings.note(repository, tag, { upstream: descriptor.digest, warning });
  }

  async #stage({ rule, repository, client }: CopyPlace, digest: Digest): Promise<void> {
    const { uploads } = this.#parts.registry;
    try {
      if (await this.#isSameUpstream(rule, { repository, client, digest })) {
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
  async #isSameUpstream(
    rule: CompiledRule,
    {
      repository,
      client,
      digest,
    }: { readonly repository: string; readonly client: RegistryClient; readonly digest: Digest },
  ): Promise<boolean> {
    const { host } = rule.upstreamOf(repository);
    const isFromHost = (other: string): boolean => this.#ruleOf(other)?.upstreamOf(other).host === host;
    return this.#parts.registry.repositoriesWith(digest).some(isFromHost) && client.hasBlob(digest);
  }

  #ruleOf(repository: string): CompiledRule | undefined {
    return this.#rules.find((rule) => rule.matches(repository));
  }

  async #with<Answer>({ rule, repository }: Place, work: (client: RegistryClient) => Promise<Answer>): Promise<Answer> {
    const { client, release } = this.#use(rule, repository);
    try {
      return await work(client);
    } finally {
      release();
    }
  }

  #use(rule: CompiledRule, repository: string): ClientUse {
    return this.#clients.use(repository, () => {
      const { host, path } = rule.upstreamOf(repository);
      const { credentials, signal, now } = this.#parts;
      const { plainHttp, insecure } = rule;
      const session = new RegistrySession(host, { credentials, signal, now, plainHttp, insecure });
      return new RegistryClient(session, path);
    });
  }

  /** Looks up the references of a rule, one after the other, until the server closes. */
  async #watch(rule: CompiledRule): Promise<void> {
    const { signal, onNotice } = this.#parts;
    while (!signal.aborted) {
      for (const { name, repository, tag } of rule.watch) {
        await this.look(repository, tag, {}).catch((error: unknown) =>
          onNotice(`cannot look up ${name}: ${textOf(error)}`),
        );
      }
      await delay(rule.watchMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** A repository that comes from elsewhere, and what its events record. */
interface Place {
  readonly rule: CompiledRule;
  readonly repository: string;
  readonly origin: WriteOptions;
  /** What readers of the tag are told once it is here. */
  readonly warning?: string | undefined;
}

/** Where a copy is read from. */
interface CopyPlace extends Place {
  readonly client: RegistryClient;
}

/** A tag that is one thing here, and another upstream. */
interface Difference {
  readonly tag: string;
  readonly known: Digest;
  readonly found: Digest;
}

/** What is here may have come from elsewhere: only what was seen upstream before has moved there. */
function differenceOf(
  reference: string,
  { known, found, last }: Omit<Difference, 'tag'> & { readonly last: Sighted | undefined },
): string {
  const name = familiarReference(reference);
  const before = last?.upstream;
  if (before !== undefined && before !== found) return `${name} moved upstream from ${before} to ${found}`;
  return `${name} differs here: upstream has ${found}, and this server ${known}`;
}

/** The manifests and indexes that an index names among what its repository lacks. */
function childrenIn(bytes: Uint8Array, { digests }: Readonly<Record<string, unknown>>): Digest[] {
  const lacking = Array.isArray(digests) ? digests : [];
  const children = new Set(linksOf(bytes, undefined).manifests.map(({ target }) => target.digest));
  return [...children].filter((digest) => lacking.includes(digest));
}

/** Who has an answer already does not wait for an upstream that hangs. @throws {Error} after MIRROR_LOOK_MS */
async function inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const { promise: late, end: stopWaiting } = lateAfter(MIRROR_LOOK_MS);
  // It may fail later.
  answer.catch(() => undefined);
  try {
    const first = await Promise.race([answer.then((value) => ({ value })), late]);
    if (first === 'late') throw new Error('no answer in time');
    return first.value;
  } finally {
    stopWaiting();
  }
}

/** Answers with what is known. @throws {HttpFailure} UPSTREAM_FAILED if nothing is */
function answerWithout(known: RegistryDocument | undefined, what: string, error: unknown): Sighting {
  if (known === undefined) throw upstreamFailed(what, error);
  return { warning: `${what}: this is the last that was seen` };
}

async function* rangeOf(
  use: () => ClientUse,
  digest: Digest,
  range: ByteRange | undefined,
): AsyncGenerator<Uint8Array> {
  const { client, release } = use();
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

/** Resolves with `late` after `ms`, unless it is ended before. */
function lateAfter(ms: number): { readonly promise: Promise<'late'>; readonly end: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms).unref();
  });
  return { promise, end: () => clearTimeout(timer) };
}

function upstreamFailed(what: string, error: unknown): HttpFailure {
  return new HttpFailure(502, 'UPSTREAM_FAILED', `${what}: ${textOf(error)}`);
}

function textOf(error: unknown): string {
  return error instanceof StoreError || error instanceof HttpFailure ? error.message : 'the server failed';
}
