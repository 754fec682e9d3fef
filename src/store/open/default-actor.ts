import { hostname, userInfo } from 'node:os';

/** Returns the actor of writes that name none: `user@host`. */
export function defaultActor(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run as a user without a name: as the system's own tools show it.
    return `${process.getuid?.() ?? 'unknown'}@${hostname()}`;
  }
}
