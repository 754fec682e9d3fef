import { StoreError } from '../../errors.js';
import { MAX_ACTOR_BYTES, MAX_BCRYPT_COST } from '../../limits.js';

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
