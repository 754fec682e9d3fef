import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { hash } from 'bcryptjs';
import { StoreError } from '../../errors.js';
import { MAX_ACTOR_BYTES, MAX_BCRYPT_COST, MAX_KEPT_LOGINS, MAX_WAITING_LOGINS } from '../../limits.js';
import { RecentMap } from '../../model/recent-map.js';

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
