import {
  LOGIN_FAILURE_WINDOW_MS,
  MAX_LOGIN_FAILURE_KEYS,
  MAX_LOGIN_FAILURES_PER_ADDRESS,
  MAX_LOGIN_FAILURES_PER_USER,
} from '../../limits.js';
import { RecentMap } from '../../model/recent-map.js';

/** Whose failures an attempt counts to. */
export interface Attempt {
  /** Undefined for connections that share one: of this machine, and of a proxy on it. */
  readonly address: string | undefined;
  readonly user: string | undefined;
}

interface Failures {
  count: number;
  readonly untilMs: number;
}

/** Counts failed logins by address and by user, each in a window that begins with the first one. */
export class LoginLimits {
  readonly #now: () => number;
  readonly #tables = {
    address: new FailureTable(MAX_LOGIN_FAILURES_PER_ADDRESS),
    user: new FailureTable(MAX_LOGIN_FAILURES_PER_USER),
  };

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts an attempt as failed until `succeeded`; returns the seconds to wait instead if there were too many. */
  begin(attempt: Attempt): number | undefined {
    const now = this.#now();
    const keyed = this.#keyed(attempt);
    const longest = keyed.reduce((longer, [table, key]) => Math.max(longer, table.waitMs(key, now)), 0);
    if (longest > 0) return Math.ceil(longest / 1000);
    for (const [table, key] of keyed) table.add(key, now);
    return undefined;
  }

  /** The attempt did not guess: forgets it. */
  succeeded(attempt: Attempt): void {
    for (const [table, key] of this.#keyed(attempt)) table.remove(key);
  }

  #keyed({ address, user }: Attempt): (readonly [FailureTable, string])[] {
    const { address: addresses, user: users } = this.#tables;
    return [
      ...(address === undefined ? [] : [[addresses, networkOf(address)] as const]),
      ...(user === undefined ? [] : [[users, user] as const]),
    ];
  }
}

/** Failures by key; the oldest window is dropped from a full table. */
class FailureTable {
  readonly #max: number;
  readonly #failures = new RecentMap<string, Failures>(MAX_LOGIN_FAILURE_KEYS);

  constructor(max: number) {
    this.#max = max;
  }

  waitMs(key: string, now: number): number {
    const failures = this.#current(key, now);
    return failures === undefined || failures.count < this.#max ? 0 : failures.untilMs - now;
  }

  add(key: string, now: number): void {
    const failures = this.#current(key, now);
    if (failures !== undefined) {
      failures.count += 1;
      return;
    }
    this.#failures.set(key, { count: 1, untilMs: now + LOGIN_FAILURE_WINDOW_MS });
  }

  remove(key: string): void {
    const failures = this.#failures.get(key);
    if (failures === undefined) return;
    failures.count -= 1;
    if (failures.count === 0) this.#failures.delete(key);
  }

  #current(key: string, now: number): Failures | undefined {
    const failures = this.#failures.get(key);
    // A clock that was set back must not lock out for longer than a window.
    const isOver =
      failures !== undefined && (now >= failures.untilMs || now < failures.untilMs - LOGIN_FAILURE_WINDOW_MS);
    if (!isOver) return failures;
    this.#failures.delete(key);
    return undefined;
  }
}

/** A client has a whole /64 of IPv6. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const [before, after] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':')));
  const missing = tail === undefined ? 0 : 8 - (before?.length ?? 0) - (after?.length ?? 0);
  return [...(before ?? []), ...Array<string>(Math.max(0, missing)).fill('0'), ...(after ?? [])].slice(0, 4).join(':');
}
