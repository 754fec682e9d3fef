import { isStoreError } from '../../errors.js';
import { type ChainId, type Digest, type ImageId, isDigest } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';
import { formatPlatform, hostArchitecture, type Platform, platformMatches } from '../../model/platform.js';
import { canonicalReference, familiarReference } from '../../model/reference.js';
import type { PastStore } from '../../store/past/audit.js';
import { HttpFailure } from '../failure.js';
import { badRequest, noSuchImage } from './failures.js';

/** Layers of a store at one moment. */
export type LayerTable = ReadonlyMap<ChainId, Pick<LayerFacts, 'size' | 'diffSize'>>;

/** What is read of a store: the present one, or a past one. */
export interface ImageSource
  extends Pick<
    PastStore,
    'get' | 'getParent' | 'search' | 'resolve' | 'references' | 'children' | 'imageEntries' | 'manifests'
  > {
  readonly layers: { map(): LayerTable };
}

/** An image as it was named. */
export interface FoundImage {
  readonly id: ImageId;
  /** Canonical; absent for one that was named by its id, or by a digest that is not a reference. */
  readonly reference: string | undefined;
}

/**
 * Resolves a name in Docker's order: a full id, a reference, the beginning of an id.
 * @throws {HttpFailure} 404 for no image, or several; 400 for what cannot be a name
 */
export function findImage(source: ImageSource, name: string, platform?: Platform): FoundImage {
  const found = foundImage(source, name, platform);
  if (platform === undefined) return found;
  const own = source.get(found.id).platform();
  if (platformMatches(platform, own)) return found;
  const message = `${name} is an image for ${formatPlatform(own)}, not for ${formatPlatform(platform)}`;
  throw new HttpFailure(404, 'NAME_UNKNOWN', message);
}

function foundImage(source: ImageSource, name: string, platform: Platform | undefined): FoundImage {
  const digest = /^[0-9a-f]{64}$/.test(name) ? `sha256:${name}` : name;
  const id = isDigest(digest) ? known(() => source.get(digest as ImageId).id()) : undefined;
  if (id !== undefined) return { id, reference: undefined };
  const canonical = isDigest(digest) ? undefined : canonicalName(name);
  if (canonical !== undefined) {
    const named = known(() => resolved(source, canonical, platform));
    const isReference = named !== undefined && source.references(named).includes(canonical);
    if (named !== undefined) return { id: named, reference: isReference ? canonical : undefined };
  }
  const searched = known(() => source.search(digest));
  if (searched === undefined) throw noSuchImage(name);
  return { id: searched, reference: undefined };
}

/** Of several platforms Docker means that of the machine, if none is asked for. */
function resolved(source: ImageSource, reference: string, platform: Platform | undefined): ImageId {
  if (platform !== undefined) return source.resolve(reference, { platform });
  try {
    return source.resolve(reference, { platform: { os: 'linux', architecture: hostArchitecture() } });
  } catch (error) {
    if (!isStoreError(error, 'PLATFORM_NOT_FOUND')) throw error;
    return source.resolve(reference);
  }
}

/** @throws {HttpFailure} 400 */
function canonicalName(name: string): string {
  try {
    return canonicalReference(name);
  } catch (error) {
    if (!isStoreError(error, 'REFERENCE_INVALID')) throw error;
    throw badRequest(`invalid reference format: ${error.message}`);
  }
}

/** Returns what is found; undefined for no image, or several. */
function known<Found>(find: () => Found): Found | undefined {
  try {
    return find();
  } catch (error) {
    if (isStoreError(error, 'PLATFORM_NOT_FOUND') || isStoreError(error, 'REFERENCE_NOT_IMAGE')) {
      throw new HttpFailure(404, 'NAME_UNKNOWN', error.message);
    }
    if (isStoreError(error, 'ID_AMBIGUOUS')) return undefined;
    if (isStoreError(error) && error.kind === 'NotFound') return undefined;
    throw error;
  }
}

/** Names of an image as Docker shows them. */
export interface ImageNames {
  readonly tags: readonly string[];
  readonly digests: readonly string[];
}

/** Returns the familiar names among canonical references, those by digest apart. */
export function imageNames(references: readonly string[]): ImageNames {
  const names = references.map(familiarReference);
  return { tags: names.filter((name) => !name.includes('@')), digests: names.filter((name) => name.includes('@')) };
}

/** Reads a platform that a client sends as JSON. @throws {HttpFailure} 400 */
export function platformOf(text: string | undefined): Platform | undefined {
  if (text === undefined || text === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badRequest('platform is not JSON');
  }
  const { os, architecture, variant } = Object(value) as Readonly<Record<string, unknown>>;
  if (typeof os !== 'string' || typeof architecture !== 'string') {
    throw badRequest('platform is an object with os and architecture');
  }
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) };
}

/** Reads each platform of a parameter that may be repeated. @throws {HttpFailure} 400 */
export function platformsOf(texts: readonly string[] | undefined): Platform[] {
  return (texts ?? []).flatMap((text) => platformOf(text) ?? []);
}

/** Digest without its algorithm, as short as Docker shows it. */
export function shortId(digest: Digest): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 12);
}
