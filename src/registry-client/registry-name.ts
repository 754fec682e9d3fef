import { canonicalReference, formatReference, parseReference } from '../model/reference.js';

/** A name in a registry, taken apart. */
export interface RegistryName {
  /** With the port if any. */
  readonly host: string;
  /** Of the repository on that host. */
  readonly path: string;
  /** The digest, else the tag, else `latest`. */
  readonly reference: string;
  /** The whole name, as the store has it. */
  readonly canonical: string;
}

/**
 * Parses a name as docker does: without a host it is on docker.io, without a tag it is `latest`.
 * @throws {StoreError} REFERENCE_INVALID
 */
export function parseRegistryName(text: string): RegistryName {
  const canonical = canonicalReference(text);
  const { domain, path, tag, digest } = parseReference(canonical);
  return { host: domain, path, reference: digest ?? tag ?? '', canonical };
}

/** The repository of a name, with its host. */
export function repositoryOf({ host, path }: Pick<RegistryName, 'host' | 'path'>): string {
  return formatReference({ domain: host, path });
}
