import type { ReferencesView } from '../../projections/references.js';
import { StoreError } from '../errors.js';
import { type ImageId, isDigest } from '../model/digest.js';
import { formatPlatform, parsePlatform, type Platform, platformMatches } from '../model/platform.js';
import { canonicalReference } from '../model/reference.js';
import { mustBeBoolean, mustBeString } from './argument-types.js';
import { decideTag, decideUntag, referenceNotFound } from './commands/tag.js';
import type { ReferenceEntry, WriteOptions } from './event-store.js';
import { type CommandPort, originOf } from './writer.js';

interface ReferenceReaderParts {
  readonly view: () => ReferencesView;
  /** The platform that the config of an image names. */
  readonly platformOf: (id: ImageId) => Platform;
}

/** The reading half of a reference store, of the present and of the past. */
export class ReferenceReader {
  readonly #parts: ReferenceReaderParts;

  constructor(parts: ReferenceReaderParts) {
    this.#parts = parts;
  }

  /** @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID, PLATFORM_NOT_FOUND, PLATFORM_INVALID */
  resolve(reference: string, platform: Platform | string | undefined): ImageId {
    mustBeString('reference', reference);
    const name = canonicalReference(reference);
    const entry = this.#parts.view().byName.get(name);
    if (entry === undefined) throw referenceNotFound(name);
    return chosenImage(entry, platform, this.#parts.platformOf);
  }

  references(id: ImageId): string[] {
    return [...(this.#parts.view().byImage.get(id) ?? [])].sort();
  }

  entries(): ReferenceEntry[] {
    return [...this.#parts.view().byName.values()].sort((a, b) => (a.reference < b.reference ? -1 : 1));
  }
}

/**
 * Returns the image that a reference gives for `platform`, or its first when none is asked for.
 * @throws {StoreError} PLATFORM_NOT_FOUND, PLATFORM_INVALID
 */
export function chosenImage(
  entry: Pick<ReferenceEntry, 'reference' | 'image' | 'platforms'>,
  platform: Platform | string | undefined,
  platformOf: (id: ImageId) => Platform,
): ImageId {
  if (platform === undefined) return entry.image;
  const wanted = typeof platform === 'string' ? parsePlatform(platform) : platform;
  const candidates = entry.platforms ?? [{ ...platformOf(entry.image), image: entry.image }];
  const found = candidates.find((candidate) => platformMatches(wanted, candidate));
  if (found !== undefined) return found.image;
  const there = candidates.map(formatPlatform);
  throw new StoreError(
    'PLATFORM_NOT_FOUND',
    `${entry.reference} has no image for ${formatPlatform(wanted)}, only for ${there.join(', ')}`,
    { data: { reference: entry.reference, platform: formatPlatform(wanted), platforms: there } },
  );
}

interface ReferenceStoreParts extends ReferenceReaderParts {
  readonly port: CommandPort;
  readonly actor: string;
}

/** Names of images: Docker's reference store over the references view. */
export class ReferenceStore extends ReferenceReader {
  readonly #parts: ReferenceStoreParts;

  constructor(parts: ReferenceStoreParts) {
    super(parts);
    this.#parts = parts;
  }

  async tag(
    reference: string,
    idOrReference: string,
    options: WriteOptions & { readonly overwrite?: boolean | undefined } = {},
  ): Promise<void> {
    mustBeString('reference', reference);
    mustBeString('idOrReference', idOrReference);
    mustBeBoolean('overwrite', options.overwrite);
    const source = isDigest(idOrReference) ? idOrReference : canonicalReference(idOrReference);
    const decide = decideTag(canonicalReference(reference), source, options.overwrite ?? true);
    await this.#parts.port.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }

  async untag(reference: string, options: WriteOptions = {}): Promise<void> {
    mustBeString('reference', reference);
    const decide = decideUntag(canonicalReference(reference));
    await this.#parts.port.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }
}
