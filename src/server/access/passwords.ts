import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { hash } from 'bcryptjs';
import { StoreError } from '../../errors.js';
import {
  LOGIN_FAILURE_WINDOW_MS,
  MAX_ACTOR_BYTES,
  MAX_BCRYPT_COST,
  MAX_KEPT_LOGINS,
  MAX_LOGIN_FAILURE_KEYS,
  MAX_LOGIN_FAILURES_PER_ADDRESS,
  MAX_LOGIN_FAILURES_PER_USER,
  MAX_WAITING_LOGINS,
} from '../../limits.js';
import { RecentMap } from '../../model/collections.js';

/** Bcrypt hashes by user name, in Unicode's form NFC. */
export type Users = ReadonlyMap<string, string>;

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** The least that bcrypt defines. */
const MIN_BCRYPT_COST = 4;

/**
 * Reads the lines NAME:HASH that `htpasswd -B` writes; empty lines and comments (`#`) are skipped.
 * @throws {StoreError} ACCESS_INVALID naming the line: another kind of hash, a cost above
 *   MAX_BCRYPT_COST, a name that is empty, too long, has control characters, or is there twice
 */
export function parseHtpasswd(bytes: Uint8Array): Users {
  const users = new Map<string, string>();
  for (const [at, line] of decode(bytes).split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const [name, hash] = parseLine(text, at + 1);
    if (users.has(name)) throw invalid(at + 1, 'the name is there twice');
    users.set(name, hash);
  }
  return users;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new StoreError('ACCESS_INVALID', 'the users file is not UTF-8', { cause });
  }
}

function parseLine(text: string, line: number): [name: string, hash: string] {
  const colon = text.indexOf(':');
  if (colon === -1) throw invalid(line, 'expected NAME:HASH');
  const [name, hash] = [text.slice(0, colon).normalize('NFC'), text.slice(colon + 1)];
  if (name === '') throw invalid(line, 'the name is empty');
  if (/\p{Cc}/u.test(name)) throw invalid(line, 'the name has a control character');
  if (Buffer.byteLength(name) > MAX_ACTOR_BYTES) throw invalid(line, `the name has more than ${MAX_ACTOR_BYTES} bytes`);
  const [, digits] = BCRYPT.exec(hash) ?? [];
  if (digits === undefined) throw invalid(line, 'the hash is not bcrypt ($2a$, $2b$, $2y$): htpasswd -B makes one');
  const cost = Number(digits);
  if (cost < MIN_BCRYPT_COST || cost > MAX_BCRYPT_COST) {
    throw invalid(line, `the cost of the hash is ${cost}, expected ${MIN_BCRYPT_COST} to ${MAX_BCRYPT_COST}`);
  }
  return [name, hash];
}

/** Neither hash nor name is shown: somebody may have mixed them up. */
function invalid(line: number, why: string): StoreError {
  return new StoreError('ACCESS_INVALID', `line ${line} of the users file: ${why}`, { data: { line } });
}

/** Salt and cost for a name that a users file without users does not have. */
const NO_USERS_SALT = '$2b$10$abcdefghijklmnopqrstuu';
/** `$2b$10$` and 22 characters. */
const SALT_LENGTH = 29;

/** Whether a password is the one of a hash. */
type CompareBcrypt = (password: string, stored: string) => Promise<boolean>;

/**
 * Compares passwords with bcrypt hashes, one at a time. A password that was right is recognized by a
 * MAC of name, password and hash, under a key of this process: the next requests cost no bcrypt, and
 * a hash that changes is compared again.
 */
export class Passwords {
  readonly #key = randomBytes(32);
  /** MACs, the newest last. */
  readonly #right = new RecentMap<string, true>(MAX_KEPT_LOGINS);
  readonly #running = new Map<string, Promise<boolean>>();
  readonly #fits: CompareBcrypt;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Tests pass another `compare`. */
  constructor(compare: CompareBcrypt = fits) {
    this.#fits = compare;
  }

  /** Whether the password was right lately, for the hash that the user still has. */
  isKnown(users: Users, user: string, password: string): boolean {
    const stored = users.get(user);
    if (stored === undefined) return false;
    const mac = this.#macOf(user, password, stored);
    if (!this.#right.has(mac)) return false;
    this.#right.set(mac, true);
    return true;
  }

  /**
   * Whether the password is the user's; undefined when MAX_WAITING_LOGINS others wait. A name that is
   * not there costs the same: the password is compared with another user's hash, without effect.
   */
  async check(users: Users, user: string, password: string): Promise<boolean | undefined> {
    const stored = users.get(user);
    // Chosen for known names too: it takes time.
    const other = this.#otherHash(users, user);
    const compared = stored ?? other;
    const mac = this.#macOf(user, password, compared);
    const running = this.#running.get(mac);
    if (running !== undefined) return running;
    if (this.#waiting >= MAX_WAITING_LOGINS) return undefined;
    const answer = this.#inTurn(async () => {
      const isEqual = await this.#fits(password, compared);
      return isEqual && stored !== undefined;
    });
    this.#running.set(mac, answer);
    try {
      const isRight = await answer;
      if (isRight) this.#right.set(mac, true);
      return isRight;
    } finally {
      this.#running.delete(mac);
    }
  }

  /** Runs `compare` after all before it: each keeps the event loop busy for up to a tenth of a second. */
  #inTurn(compare: () => Promise<boolean>): Promise<boolean> {
    this.#waiting += 1;
    const answer = this.#last.then(compare).finally(() => {
      this.#waiting -= 1;
    });
    // Its caller hears of a failure; the next one must run anyway.
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** The same one each time for a name: costs of unknown names are spread as those of known ones. */
  #otherHash(users: Users, user: string): string {
    const at = createHmac('sha256', this.#key).update(user).digest().readUInt32BE() % Math.max(users.size, 1);
    return [...users.values()][at] ?? `${NO_USERS_SALT}${'.'.repeat(31)}`;
  }

  #macOf(user: string, password: string, stored: string): string {
    // No part has a NUL, so that no two triples are one text.
    return createHmac('sha256', this.#key).update(`${user}\0${stored}\0${password}`).digest('base64');
  }
}

async function fits(password: string, stored: string): Promise<boolean> {
  const made = await hash(password, stored.slice(0, SALT_LENGTH));
  return timingSafeEqual(Buffer.from(made.slice(SALT_LENGTH)), Buffer.from(stored.slice(SALT_LENGTH)));
}

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
