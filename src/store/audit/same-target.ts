import type { Digest, ImageId } from '../../model/digest.js';
import type { PlatformImage } from '../../model/events.js';

/** What a reference stands for: an image, or one for each platform, and the manifest or index that it came with. */
export interface ReferenceTarget {
  readonly image: ImageId;
  readonly target: Digest | undefined;
  readonly platforms: readonly PlatformImage[] | undefined;
}

/** Whether two references stand for the same, so that going from one to the other is no change. */
export function isSameTarget(one: ReferenceTarget, other: ReferenceTarget): boolean {
  return one.image === other.image && one.target === other.target && idsOf(one) === idsOf(other);
}

function idsOf({ platforms = [] }: ReferenceTarget): string {
  return platforms.map(({ image }) => image).join(' ');
}
