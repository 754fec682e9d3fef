import type { Int64 } from './json/scalar-codecs.js';
import type { Timestamp } from './timestamp.js';

/** What a store knows of an image beside its config; never part of the config's bytes. */
export interface Details {
  /** Canonical references that point at the image. */
  readonly references: readonly string[];
  /** Bytes of all layers. */
  readonly size: Int64;
  readonly metadata: Readonly<Record<string, string>>;
  /** What keeps the layers. */
  readonly driver: string;
  readonly lastUpdated?: Timestamp | undefined;
}
