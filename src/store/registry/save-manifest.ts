import type { Views } from '../../../projections/views.js';
import { SavedDocuments } from '../../archive/saved-documents.js';
import { isStoreError } from '../../errors.js';
import type { ImageId } from '../../model/digest.js';
import { savedImage } from '../archives/save-archive.js';
import type { StoreContext } from '../context.js';
import type { RegistryDocument } from '../registry-store.js';

/**
 * Returns the manifest that `save --format oci` writes for an image that came without one; undefined
 * if the store has no files of its layers. The same image gives the same bytes.
 */
export function madeManifest(
  image: ImageId,
  context: StoreContext,
  views: Views,
): Omit<RegistryDocument, 'name'> | undefined {
  try {
    const saved = savedImage(image, context, views);
    const documents = new SavedDocuments(
      {
        images: [saved],
        artifacts: [],
        references: [],
        artifact: () => undefined,
        referrers: () => [],
        content: () => undefined,
        hasBlob: (digest) => views.blobs.byDigest.has(digest),
        openBlob: (digest) => context.blobs.read(digest),
      },
      () => undefined,
    );
    const { descriptor, bytes } = documents.manifest(saved);
    return { descriptor, bytes };
  } catch (error) {
    // Only configs are kept here, or a layer is kept elsewhere.
    if (isStoreError(error, 'BLOB_MISSING') || isStoreError(error, 'LAYER_NOT_FOUND')) return undefined;
    throw error;
  }
}
