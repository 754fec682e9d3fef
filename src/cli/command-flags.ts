import type { ChainId } from '../model/digest.js';
import type { EventType } from '../model/events.js';
import type { When } from '../store/past/audit.js';

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

/** Options of `erase`. */
export interface EraseFlags {
  readonly removeDamagedLogs?: boolean;
}

/** Options of `prune`. */
export interface PruneFlags extends EraseFlags {
  readonly before?: When;
  readonly yes?: boolean;
}

/** Options of `images`. */
export interface ImagesFlags {
  readonly tree?: boolean;
  readonly heads?: boolean;
  readonly filter?: readonly string[];
}

/** Options of `log`. */
export interface LogFlags {
  readonly image?: string;
  readonly reference?: string;
  readonly chain?: ChainId;
  readonly actor?: string;
  readonly type?: readonly EventType[];
  readonly since?: When;
  readonly until?: When;
  readonly from?: number;
  readonly to?: number;
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly format?: 'table' | 'json' | 'cloudevents';
}

/** Options of `key`. */
export interface KeyFlags {
  readonly name?: string;
  readonly show?: boolean;
}

/** Options of `prove`. */
export interface ProveFlags {
  readonly output?: string;
  readonly checkpoint?: string;
}

/** Options of `check-proof`. */
export interface CheckProofFlags {
  readonly key?: string;
  readonly checkpoint?: string;
  readonly record?: string;
}

/** Options of `restore`. */
export interface RestoreFlags {
  /** Files with checkpoints. */
  readonly against?: readonly string[];
  /** The verifier key, or a file with it. */
  readonly key?: string;
}

/** Options of `verify`. */
export interface VerifyFlags {
  readonly against?: readonly string[];
  readonly key?: string;
  readonly fast?: boolean;
}
