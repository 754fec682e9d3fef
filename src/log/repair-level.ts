import { Level } from 'level';
import { openFailure } from './open-failure.js';

/** What `level` is under Node, beyond what it is everywhere. */
interface Repairing {
  repair(location: string): Promise<void>;
}

/**
 * Makes LevelDB take what it still can from the files at `location`, whatever its MANIFEST says. It takes no lock, checks nothing and
 * gives rows back that were deleted: only ever of a copy, every row of which is judged afterwards.
 * @throws {StoreError} as `openFailure` says
 */
export async function repairLevel(location: string): Promise<void> {
  try {
    await (Level as unknown as Repairing).repair(location);
  } catch (cause) {
    throw openFailure(location, cause);
  }
}
