import { StoreError } from '../errors.js';
import { canonicalReference } from '../model/reference.js';

/** The annotation under which containerd and Docker keep the whole name of an image. */
export const CONTAINERD_NAME = 'io.containerd.image.name';
/** The annotation of the OCI image spec, annotations.md, for the name within a layout. */
export const OCI_REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * Returns the canonical reference that the annotations of an entry of index.json give, or undefined when they give none.
 * The OCI annotation counts only when it names a repository: a bare `1.0` is a tag of nothing, and what is no
 * reference at all is some other tool's text.
 *
 * @throws {StoreError} REFERENCE_INVALID when containerd's annotation is no reference
 */
export function annotatedReference(annotations: ReadonlyMap<string, string>): string | undefined {
  const name = annotations.get(CONTAINERD_NAME);
  if (name !== undefined && name !== '') return canonicalReference(name);
  const text = annotations.get(OCI_REF_NAME) ?? '';
  if (!/[:/@]/.test(text)) return undefined;
  try {
    return canonicalReference(text);
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}
