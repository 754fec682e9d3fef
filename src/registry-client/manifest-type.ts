import { bareType, isIndexType, isManifestType, OCI_INDEX, OCI_MANIFEST } from '../archive/documents.js';
import { StoreError } from '../errors.js';
import { recordOf } from './credentials.js';

/** Every type that a registry may give, for the `Accept` header. */
export const MANIFEST_TYPES = [
  OCI_INDEX,
  OCI_MANIFEST,
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.cncf.oras.artifact.manifest.v1+json',
].join(', ');

/**
 * Returns the media type of a manifest or index: by the header, else by its own field, else by what
 * it holds. `what` names it in messages.
 * @throws {StoreError} REGISTRY_INVALID for anything else, as an HTML page or schema 1 of Docker
 */
export function checkManifest(bytes: Uint8Array, header: string | undefined, what: string): string {
  const type = bareType(header ?? '');
  const document = documentOf(bytes);
  if (document === undefined)
    throw invalid(what, type.includes('html') ? 'an HTML page' : 'something other than a JSON object');
  if ('fsLayers' in document || document['schemaVersion'] === 1) {
    throw invalid(what, 'schema 1 of Docker, which was replaced in 2016: push the image again');
  }
  const own = document['mediaType'];
  const known = [header ?? '', typeof own === 'string' ? own : ''].find(
    (each) => isIndexType(each) || isManifestType(each),
  );
  if (known !== undefined) return bareType(known);
  if (Array.isArray(document['manifests'])) return OCI_INDEX;
  if (typeof document['config'] === 'object') return OCI_MANIFEST;
  throw invalid(what, `the media type ${JSON.stringify(type.slice(0, 100))}`);
}

function documentOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? recordOf(value) : undefined;
  } catch {
    // Told by the caller: what was found is not JSON.
    return undefined;
  }
}

function invalid(what: string, found: string): StoreError {
  return new StoreError('REGISTRY_INVALID', `cannot read the ${what}: expected a manifest or index, found ${found}`);
}
