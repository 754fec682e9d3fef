import type { EventType } from '../model/events.js';

/** Options of `load`. */
export interface LoadFlags {
  readonly platform?: string;
  readonly allPlatforms?: boolean;
  /** False with `--no-overwrite`. */
  readonly overwrite: boolean;
  readonly tag?: string;
}

/** Options of `save`. */
export interface SaveFlags {
  readonly output?: string;
  readonly format: 'docker' | 'oci';
}

/** Options of `images`. */
export interface ImagesFlags {
  readonly tree?: boolean;
  readonly heads?: boolean;
  readonly filter?: readonly string[];
}

/** Options of `log`. Times are ms since the epoch. */
export interface LogFlags {
  readonly image?: string;
  readonly reference?: string;
  readonly actor?: string;
  readonly type?: readonly EventType[];
  readonly since?: number;
  readonly until?: number;
  readonly from?: number;
  readonly to?: number;
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly format?: 'table' | 'json' | 'cloudevents';
}
