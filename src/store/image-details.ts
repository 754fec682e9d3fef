import type { Views } from '../../projections/views.js';
import type { Details } from '../model/details.js';
import type { ImageId } from '../model/digest.js';
import { parseTimestamp } from '../model/timestamp.js';
import { LAST_UPDATED_KEY } from './decide/metadata.js';

/** Name of what keeps the layers of an event store, as Docker names its graph drivers. */
const DRIVER = 'imagelog';

/** Returns what the views know of an image beside its config. Metadata values are given as text. */
export function imageDetails(views: Views, id: ImageId): Details {
  const chainId = views.images.get(id)?.chainId;
  const values = [...(views.metadata.get(id) ?? [])];
  const metadata = Object.fromEntries(values.map(([key, value]) => [key, new TextDecoder().decode(value)]));
  const lastUpdated = metadata[LAST_UPDATED_KEY];
  return {
    references: [...(views.references.byImage.get(id) ?? [])].sort(),
    size: chainId === undefined ? 0 : (views.layers.byChain.get(chainId)?.size ?? 0),
    metadata,
    driver: DRIVER,
    ...(lastUpdated === undefined ? {} : { lastUpdated: parseTimestamp(lastUpdated) }),
  };
}
