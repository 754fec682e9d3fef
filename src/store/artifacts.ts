import type { OptionNames } from '../model/option-names.js';
import type { ArtifactEntry } from '../../projections/artifacts.js';
import { type FoundDigest, findDigest } from '../../projections/find-digest.js';
import type { Views } from '../../projections/views.js';
import { StoreError } from '../errors.js';
import { type Descriptor, type Digest, digestHex, type ImageId, parseDigest } from '../model/digest.js';
import type { Annotations } from '../model/events.js';
import { type Codec, decodeJson, field, mapCodec, stringCodec, structCodec } from '../model/go-json/codecs.js';
import { JsonError } from '../model/go-json/parse.js';
import { formatReference, parseReference } from '../model/reference.js';
import { mustBeOptions, mustBeString, mustBeText } from './argument-types.js';
import { artifactNotFound } from './commands/artifacts.js';
import { refuseErased } from './commands/decision.js';
import type { StoreContext } from './context.js';

export type { ArtifactEntry, FoundDigest };

/** What refers to a digest: a descriptor, as the referrers of OCI's distribution spec have it. */
export interface Referrer extends Descriptor {
  /** `artifactType`, else the media type of its config; empty if neither says. */
  readonly artifactType: string;
  /** Annotations of its manifest; absent when the manifest was erased since. */
  readonly annotations?: Annotations | undefined;
  /** The reference whose tag says it, as `sha256-….sig` does; absent when its subject says it. */
  readonly reference?: string | undefined;
}

/** Options of `referrers`. */
export interface ReferrersOptions {
  /** Only those of this type. */
  readonly artifactType?: string | undefined;
}

const referrersOptionNames: OptionNames<ReferrersOptions> = { artifactType: true };

/** Reads of artifacts: what is kept as it came, because it is no image. */
export interface ArtifactReads {
  /** Returns every artifact in the order they were added. */
  artifacts(): ArtifactEntry[];
  /** Returns an artifact. @throws {StoreError} DIGEST_INVALID, ARTIFACT_NOT_FOUND */
  artifact(digest: string): ArtifactEntry;
  /**
   * Returns the bytes of an artifact's manifest or index.
   * @throws {StoreError} DIGEST_INVALID, ARTIFACT_NOT_FOUND, CONTENT_ERASED, CONTENT_CORRUPT
   */
  artifactManifest(digest: string): Uint8Array;
  /**
   * Returns what a digest, or its beginning with or without `sha256:`, names: an image by its id;
   * if none, the only manifest of an image, index or artifact.
   * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS, with two candidates
   */
  find(partial: string): FoundDigest;
  /**
   * Returns the artifacts about a digest, of an image, manifest, index or artifact, which need not
   * be in the store: those whose `subject` it is (OCI 1.1), then what cosign's tags
   * `sha256-….sig`, `.att` and `.sbom` name in a repository where the digest has a name.
   * @throws {StoreError} DIGEST_INVALID, CONTENT_CORRUPT
   */
  referrers(digest: string, options?: ReferrersOptions): Referrer[];
}

/** Endings of the tags by which cosign names what is about a digest. */
const TAG_ENDINGS = ['sig', 'att', 'sbom'] as const;

/** Reads artifacts of the present or the past: only the views differ. */
export class ArtifactReader implements ArtifactReads {
  readonly #context: Pick<StoreContext, 'checkOpen' | 'log' | 'views'>;
  readonly #views: Views;

  constructor(context: Pick<StoreContext, 'checkOpen' | 'log' | 'views'>, views: Views) {
    this.#context = context;
    this.#views = views;
  }

  artifacts(): ArtifactEntry[] {
    this.#context.checkOpen();
    return [...this.#views.artifacts.byDigest.values()];
  }

  artifact(digest: string): ArtifactEntry {
    this.#context.checkOpen();
    mustBeString('digest', digest);
    const entry = this.#views.artifacts.byDigest.get(parseDigest(digest));
    if (entry === undefined) throw artifactNotFound(digest);
    return entry;
  }

  artifactManifest(digest: string): Uint8Array {
    const { artifact } = this.artifact(digest);
    const bytes = this.#context.log.content(artifact.digest);
    if (bytes !== undefined) return bytes;
    refuseErased(this.#context.views.erasures, artifact.digest);
    throw new StoreError('CONTENT_CORRUPT', `the manifest ${artifact.digest} is missing from the store`, {
      data: { digest: artifact.digest },
    });
  }

  find(partial: string): FoundDigest {
    this.#context.checkOpen();
    mustBeString('partial', partial);
    return findDigest(this.#views, partial);
  }

  referrers(digest: string, options: ReferrersOptions = {}): Referrer[] {
    this.#context.checkOpen();
    mustBeString('digest', digest);
    mustBeOptions(options, referrersOptionNames);
    const { artifactType } = options;
    mustBeText('artifactType', artifactType);
    const subject = parseDigest(digest);
    const found = new Map<Digest, Referrer>();
    for (const about of this.#views.artifacts.bySubject.get(subject) ?? []) {
      const entry = this.#views.artifacts.byDigest.get(about);
      if (entry !== undefined) found.set(about, this.#referrer(entry.artifact));
    }
    for (const { reference, target } of this.#tagged(subject)) {
      if (!found.has(target.digest)) found.set(target.digest, { ...this.#referrer(target), reference });
    }
    const all = [...found.values()];
    return artifactType === undefined ? all : all.filter((referrer) => referrer.artifactType === artifactType);
  }

  #referrer(descriptor: Descriptor): Referrer {
    const artifactType = this.#views.artifacts.byDigest.get(descriptor.digest)?.artifactType ?? '';
    return { ...descriptor, artifactType, annotations: this.#annotations(descriptor.digest) };
  }

  /** Yields what tags made of `digest` name, in each repository where it has a name. */
  *#tagged(digest: Digest): Generator<{ readonly reference: string; readonly target: Descriptor }> {
    const { byName } = this.#views.references;
    for (const { domain, path } of this.#repositoriesOf(digest)) {
      for (const ending of TAG_ENDINGS) {
        const reference = formatReference({ domain, path, tag: `sha256-${digestHex(digest)}.${ending}` });
        const target = byName.get(reference)?.target;
        if (target !== undefined) yield { reference, target };
      }
    }
  }

  #repositoriesOf(digest: Digest): Iterable<{ readonly domain: string; readonly path: string }> {
    const { references, manifests } = this.#views;
    const names = new Set(references.byTarget.get(digest));
    for (const name of references.byImage.get(digest as ImageId) ?? []) names.add(name);
    for (const [image, entries] of manifests) {
      if (!entries.some(({ manifest }) => manifest.digest === digest)) continue;
      for (const name of references.byImage.get(image) ?? []) names.add(name);
    }
    const repositories = new Map<string, { readonly domain: string; readonly path: string }>();
    for (const name of [...names].sort()) {
      const { domain, path } = parseReference(name);
      repositories.set(`${domain}/${path}`, { domain, path });
    }
    return repositories.values();
  }

  #annotations(digest: Digest): Annotations | undefined {
    const bytes = this.#context.log.content(digest);
    return bytes === undefined ? undefined : annotationsIn(bytes, digest);
  }
}

const annotatedCodec: Codec<{ readonly annotations: Annotations | null }> = structCodec({
  annotations: field('annotations', mapCodec(stringCodec)),
});

function annotationsIn(bytes: Uint8Array, digest: Digest): Annotations {
  try {
    return decodeJson(bytes, annotatedCodec).annotations ?? {};
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new StoreError('CONTENT_CORRUPT', `the manifest ${digest} is not what its event says: ${cause.message}`, {
      cause,
      data: { digest },
    });
  }
}
