import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError, StoreError } from '../../errors.js';
import { MAX_MIRROR_CLIENTS, MIRROR_LOOK_MS, MIRROR_RETRY_MS } from '../../limits.js';
import { type Descriptor, type Digest, isContentName, isDigest } from '../../model/digest.js';
import { RecentMap } from '../../model/collections.js';
import { familiarReference } from '../../model/reference.js';
import type { RegistryOptions } from '../../registry-client/registry-session.js';
import type { EventStore } from '../../store/event-store.js';
import type { RegistryBlob, RegistryDocument } from '../../store/registry-store.js';
import type { WriteOptions } from '../../store/store.js';
import { HttpFailure } from '../failure.js';
import { Copies, LATE, within } from './copies.js';
import { type CompiledRule, compileRule, type MirrorRule } from './rules.js';
import { type NotFollowed, Sightings, sightingText } from './sightings.js';
import { Upstreams } from './upstreams.js';

/** What the answer to a reader says beside the manifest. */
export interface Sighting {
  /** What is still being copied into the store, where that takes long. */
  readonly document?: RegistryDocument | undefined;
  /** What the reader should know: the upstream is gone, or moved the tag. */
  readonly warning?: string | undefined;
}

interface MirrorParts extends Pick<RegistryOptions, 'credentials'> {
  readonly store: Pick<EventStore, 'registry' | 'log'>;
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
  readonly signal: AbortSignal;
}

/** A tag of a mirrored repository. */
interface Tag {
  readonly rule: CompiledRule;
  /** Canonical. */
  readonly repository: string;
  readonly tag: string;
  readonly reference: string;
  /** Of the reader. */
  readonly origin: WriteOptions;
  readonly known: RegistryDocument | undefined;
}

/** What a tag is upstream, and how that differs from before and from here. */
interface Found {
  readonly digest: Digest;
  readonly difference: string;
  /** Whether the last sighting was the same, so that it is an event already. */
  readonly isSeen: boolean;
  /** Whether the operator was told of the difference. */
  readonly isTold: boolean;
}

/**
 * Copies repositories of other registries as they are asked for, and records what their tags stood
 * for: each sighting of a tag that differs from the last is an event.
 */
export class Mirror {
  readonly #parts: MirrorParts;
  readonly #upstreams: Upstreams;
  readonly #copies: Copies;
  readonly #sightings: Sightings;
  readonly #looking = new Map<string, Promise<Sighting>>();
  /** When repositories whose upstream hangs may be waited for again. */
  readonly #hanging = new RecentMap<string, number>(MAX_MIRROR_CLIENTS);

  /** @throws {TypeError} for a rule that cannot be used; StoreError FILTER_INVALID */
  constructor(rules: readonly MirrorRule[], parts: MirrorParts) {
    const compiled = rules.map(compileRule);
    const { credentials, signal, now, store } = parts;
    this.#parts = parts;
    this.#upstreams = new Upstreams(compiled, { credentials, signal, now });
    this.#copies = new Copies(store.registry, this.#upstreams);
    this.#sightings = new Sightings(store, now);
    for (const rule of compiled) if (rule.watch.length > 0) void this.#watch(rule);
  }

  /** Returns where a repository, by its canonical name, comes from; undefined if it is this server's own. */
  upstreamOf(repository: string): string | undefined {
    const upstream = this.#upstreams.of(repository);
    return upstream && `${upstream.host}/${upstream.path}`;
  }

  /**
   * Looks up what a tag or digest is upstream, and has it copied into the store. Resolves once it is
   * there, or after MIRROR_WAIT_MS with what is coming. Readers at the same time share one look.
   * @throws {HttpFailure} UPSTREAM_FAILED when neither upstream nor store has an answer
   */
  async look(repository: string, tagOrName: string, origin: WriteOptions): Promise<Sighting> {
    const rule = this.#upstreams.of(repository)?.rule;
    if (rule === undefined) return {};
    const key = `${repository} ${tagOrName}`;
    const running = this.#looking.get(key);
    if (running !== undefined) return running;
    const known = this.#parts.store.registry.manifest(repository, tagOrName);
    const tag = { rule, repository, tag: tagOrName, reference: `${repository}:${tagOrName}`, origin, known };
    const looking = isContentName(tagOrName) ? this.#lookAtName(tag, tagOrName) : this.#lookAtTag(tag);
    const shared = looking.finally(() => this.#looking.delete(key));
    this.#looking.set(key, shared);
    return shared;
  }

  /** Returns a blob that is being copied into the store, read from upstream; undefined if it is not. */
  blob(repository: string, digest: Digest): RegistryBlob | undefined {
    return this.#copies.blob(repository, digest);
  }

  /** What a digest stands for never moves. */
  async #lookAtName({ repository, origin, known }: Tag, name: string): Promise<Sighting> {
    // Upstream names manifests by SHA-256.
    if (known !== undefined || !isDigest(name)) return {};
    const onFailed = async (error: unknown, isLate: boolean): Promise<void> => {
      if (isLate) this.#notice(cannotCopy(repository, name), error);
    };
    return answered(this.#copies.copy({ repository, digest: name, origin, onFailed }), {
      what: cannotCopy(repository, name),
      known,
    });
  }

  async #lookAtTag(tag: Tag): Promise<Sighting> {
    const { rule, repository, reference, known } = tag;
    const fresh = known && this.#sightings.fresh(reference, rule.freshMs);
    if (fresh !== undefined) return { warning: fresh.warning };
    let upstream: Descriptor | undefined;
    try {
      upstream = await this.#upstreamNow(tag);
    } catch (error) {
      return answerWithout(known, `${familiarReference(repository)} cannot be reached upstream`, error);
    }
    if (upstream === undefined) return known === undefined ? {} : this.#gone(tag);
    const found = await this.#compared(tag, upstream.digest);
    if (known?.descriptor.digest === found.digest) return this.#same(tag, found);
    if (known === undefined || rule.mayMove(tag.tag)) return this.#follow(tag, found);
    if (rule.movedTags === 'refuse') return this.#refuse(tag, found);
    return this.#follow(tag, found, { isFlagged: rule.movedTags === 'flag' });
  }

  /** Who has an answer already does not wait for an upstream that hangs. */
  async #upstreamNow({ repository, tag, known }: Tag): Promise<Descriptor | undefined> {
    const { now } = this.#parts;
    if (known !== undefined && (this.#hanging.get(repository) ?? -Infinity) > now()) throw new Error('no answer yet');
    const looking = this.#upstreams.with(repository, async (client) => {
      const upstream = await client.head(tag);
      this.#hanging.delete(repository);
      return upstream;
    });
    if (known === undefined) return looking;
    const upstream = await within(MIRROR_LOOK_MS, looking);
    if (upstream !== LATE) return upstream;
    this.#hanging.set(repository, now() + MIRROR_RETRY_MS);
    throw new Error('no answer in time');
  }

  async #compared({ reference, known }: Tag, digest: Digest): Promise<Found> {
    const last = await this.#sightings.last(reference);
    const isSeen = last?.upstream === digest;
    const told = isSeen ? last.difference : undefined;
    const text = { reference, found: digest, before: last?.upstream, here: known?.descriptor.digest };
    return { digest, difference: told ?? sightingText(text), isSeen, isTold: told !== undefined };
  }

  async #gone({ reference, tag }: Tag): Promise<Sighting> {
    const warning = `${tag} is no longer upstream`;
    const last = await this.#sightings.last(reference);
    this.#sightings.note(reference, { upstream: last?.upstream, difference: last?.difference, warning });
    return { warning };
  }

  /** The tag here is what it is upstream: that it is so again, or from now on, is a sighting. */
  async #same(tag: Tag, { digest, difference, isSeen }: Found): Promise<Sighting> {
    if (isSeen || (await this.#record(tag, difference))) this.#sightings.note(tag.reference, { upstream: digest });
    return {};
  }

  /** The tag stays; what it should not become is kept by its digest, for who looks into it. */
  async #refuse(tag: Tag, { digest, difference, isSeen, isTold }: Found): Promise<Sighting> {
    const { repository, reference, origin } = tag;
    const warning = `${difference}; refused, the tag stays`;
    const reason = notFollowed('refused', difference);
    if (isSeen || (await this.#record(tag, reason))) {
      this.#sightings.note(reference, { upstream: digest, difference, warning });
    }
    if (!isTold) this.#parts.onNotice(warning);
    if (this.#parts.store.registry.manifest(repository, digest) === undefined) {
      const onFailed = async (error: unknown): Promise<void> => {
        // Each look tries again.
        if (!isTold) this.#notice(cannotCopy(repository, digest), error);
      };
      this.#copies.copy({ repository, digest, origin: { ...origin, reason }, onFailed }).catch(() => undefined);
    }
    return { warning };
  }

  /** The tag becomes here what it is upstream. */
  async #follow(tag: Tag, found: Found, { isFlagged = false } = {}): Promise<Sighting> {
    const { repository, reference, origin, known } = tag;
    const { digest, difference } = found;
    const warning = isFlagged ? difference : undefined;
    const copying = this.#copies.copy({
      repository,
      digest,
      tag: tag.tag,
      origin: { ...origin, reason: difference },
      onKept: () => {
        this.#sightings.note(reference, { upstream: digest, warning });
        if (isFlagged) this.#parts.onNotice(difference);
      },
      onFailed: (error, isLate) => this.#notCopied(tag, found, { error, isLate }),
    });
    return answered(copying, { what: cannotCopy(repository, digest), known, warning });
  }

  /** The tag stays as it is until a later pull can copy it. */
  async #notCopied(
    tag: Tag,
    { digest, difference, isSeen }: Found,
    { error, isLate }: { readonly error: unknown; readonly isLate: boolean },
  ): Promise<void> {
    const reason = notFollowed('not copied', difference);
    const isNew = tag.known !== undefined && !isSeen;
    if (isNew && (await this.#record(tag, reason))) {
      this.#sightings.note(tag.reference, { upstream: digest, difference }, { stale: true });
    }
    if (isNew || isLate) this.#notice(reason, error);
  }

  /** Records a sighting that leaves the tag as it is. Resolves with false if the store cannot: the next tries again. */
  async #record({ repository, tag, origin }: Tag, reason: string): Promise<boolean> {
    const confirm = (): Promise<void> =>
      this.#parts.store.registry.confirm(repository, tag, { ...origin, via: 'mirror', reason });
    try {
      await confirm().catch(async (error: unknown) => {
        if (!isStoreError(error, 'BLOB_NOT_FOUND')) throw error;
        // Another repository has them: this one gets them from its own upstream, or not at all.
        for (const digest of digestsIn(error)) await this.#copies.copy({ repository, digest, origin });
        await confirm();
      });
      return true;
    } catch (error) {
      this.#notice(`cannot record "${reason}"`, error);
      return false;
    }
  }

  #notice(what: string, error: unknown): void {
    this.#parts.onNotice(`${what}: ${textOf(error)}`);
  }

  /** Looks up the references of a rule, one after the other, until the server closes. */
  async #watch(rule: CompiledRule): Promise<void> {
    const { signal } = this.#parts;
    while (!signal.aborted) {
      for (const { name, repository, tag } of rule.watch) {
        await this.look(repository, tag, {}).catch((error: unknown) => this.#notice(`cannot look up ${name}`, error));
      }
      await delay(rule.watchMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

function digestsIn({ data }: StoreError): Digest[] {
  const { digests } = data;
  return Array.isArray(digests) ? digests.filter((digest): digest is Digest => isDigest(String(digest))) : [];
}

function notFollowed(how: NotFollowed, difference: string): string {
  return `${how}: ${difference}`;
}

function cannotCopy(repository: string, digest: Digest): string {
  return `cannot copy ${familiarReference(`${repository}@${digest}`)}`;
}

/** Answers a reader who waits for a copy; without one, with what is known. @throws {HttpFailure} UPSTREAM_FAILED */
async function answered(
  copying: Promise<RegistryDocument | undefined>,
  { what, known, warning }: { readonly what: string } & Pick<Tag, 'known'> & Pick<Sighting, 'warning'>,
): Promise<Sighting> {
  try {
    const document = await copying;
    return { ...(document === undefined ? {} : { document }), ...(warning === undefined ? {} : { warning }) };
  } catch (error) {
    if (known === undefined && isStoreError(error, 'REGISTRY_NOT_FOUND')) return {};
    return answerWithout(known, what, error);
  }
}

/** Answers with what is known. @throws {HttpFailure} UPSTREAM_FAILED if nothing is */
function answerWithout(known: RegistryDocument | undefined, what: string, error: unknown): Sighting {
  if (known === undefined) throw new HttpFailure(502, 'UPSTREAM_FAILED', `${what}: ${textOf(error)}`);
  return { warning: `${what}: this is the last that was seen` };
}

function textOf(error: unknown): string {
  return error instanceof StoreError || error instanceof HttpFailure ? error.message : 'the server failed';
}
