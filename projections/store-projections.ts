import { blobsProjection } from './blobs.js';
import { erasuresProjection } from './erasures.js';
import { imagesProjection } from './images.js';
import { layersProjection } from './layers.js';
import { manifestsProjection } from './manifests.js';
import { metadataProjection } from './metadata.js';
import type { Projection, StoredProjection } from './projection.js';
import { referencesProjection } from './references.js';

const projections = {
  images: imagesProjection,
  references: referencesProjection,
  layers: layersProjection,
  manifests: manifestsProjection,
  blobs: blobsProjection,
  metadata: metadataProjection,
  erasures: erasuresProjection,
};

/** The name of a view of the store. */
export type ViewName = keyof typeof projections;

/** The views that an image store answers from. */
export type Views = {
  readonly [Name in ViewName]: (typeof projections)[Name] extends Projection<infer View> ? View : never;
};

/** The projection of each view of the store. */
export const storeProjections: { readonly [Name in ViewName]: StoredProjection<Views[Name]> } = projections;

/** Every name, in the order in which a snapshot has the views. */
export const viewNames = Object.keys(projections) as readonly ViewName[];
