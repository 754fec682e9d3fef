import { StoreError } from '../errors.js';
import { MAX_REFERENCE_LENGTH, MAX_REFERENCE_NAME_LENGTH, MAX_TAG_LENGTH } from '../limits.js';
import { Memo } from './collections.js';

/** A normalized image name (distribution/reference): `docker.io`, `library/tiny`, `1`. */
export interface Reference {
  /** Host, with the port if any. */
  readonly domain: string;
  /** Repository path on that host. */
  readonly path: string;
  readonly tag?: string | undefined;
  /** `algorithm:hex`. */
  readonly digest?: string | undefined;
}

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';
const DEFAULT_TAG = 'latest';

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const PATH = `${PATH_PART}(?:/${PATH_PART})*`;
const TAG = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,${MAX_TAG_LENGTH - 1}}`;
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const REFERENCE = new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const IDENTIFIER = /^[a-f0-9]{64}$/;
/** Digest algorithms of Docker's digest package, which can be verified. */
const KNOWN_DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;

/**
 * Parses user input like Docker's ParseNormalizedNamed: the default domain is docker.io, where a
 * single word is below `library/`. Adds no tag.
 * @throws {StoreError} REFERENCE_INVALID when it breaks the grammar, is 64 hex digits, has upper
 *   case in its path, a name longer than 255, or a malformed digest
 */
export function parseReference(text: string): Reference {
  return parsed.of(text);
}

// The grammar costs twenty times a lookup, and a command parses a name twice.
const parsed = new Memo((text) => Object.freeze(parse(text)));

function parse(text: string): Reference {
  if (text === '') throw invalid(text, 'it is empty');
  if (text.length > MAX_REFERENCE_LENGTH) {
    throw invalid(text, `expected at most ${MAX_REFERENCE_LENGTH} characters, found ${text.length}`);
  }
  if (IDENTIFIER.test(text)) throw invalid(text, 'a name of 64 hex digits could be an image id');
  const { domain: host, rest } = splitDomain(text);
  const repository = rest.split(':', 1)[0] ?? '';
  if (repository !== repository.toLowerCase()) {
    throw invalid(text, `the repository ${JSON.stringify(repository)} must be lower case`);
  }
  const [, domain, path, tag, digest] = REFERENCE.exec(`${host}/${rest}`) ?? [];
  if (domain === undefined || path === undefined) {
    throw invalid(text, 'expected [host[:port]/]path[:tag][@digest]');
  }
  const nameLength = domain.length + 1 + path.length;
  if (nameLength > MAX_REFERENCE_NAME_LENGTH) {
    throw invalid(text, `expected a name of at most ${MAX_REFERENCE_NAME_LENGTH} characters, found ${nameLength}`);
  }
  if (digest !== undefined && !KNOWN_DIGEST.test(digest)) {
    throw invalid(text, 'the digest must be sha256, sha384 or sha512 and that many lower-case hex digits');
  }
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** Splits off the part before the first slash if it must be a host. */
function splitDomain(text: string): { domain: string; rest: string } {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const given = isHost ? first : DEFAULT_DOMAIN;
  const rest = isHost ? text.slice(slash + 1) : text;
  const domain = given === LEGACY_DOMAIN ? DEFAULT_DOMAIN : given;
  return { domain, rest: domain === DEFAULT_DOMAIN && !rest.includes('/') ? OFFICIAL_PREFIX + rest : rest };
}

/** Returns the full form: `docker.io/library/tiny:1`. */
export function formatReference({ domain, path, tag, digest }: Reference): string {
  return `${domain}/${path}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/**
 * Returns the canonical form, like Docker's ParseDockerRef: full domain and path, and a digest,
 * else a tag, else `:latest`. A tag next to a digest is redundant and dropped.
 * @throws {StoreError} REFERENCE_INVALID as `parseReference`
 */
export function canonicalReference(text: string): string {
  const { domain, path, tag, digest } = parseReference(text);
  return formatReference(digest === undefined ? { domain, path, tag: tag ?? DEFAULT_TAG } : { domain, path, digest });
}

/**
 * Returns the short form of a canonical reference: `tiny:1` for `docker.io/library/tiny:1`. Keeps a
 * name whose short form is ambiguous (`docker.io/a.b/c`).
 * @throws {StoreError} REFERENCE_INVALID when `canonical` is not a reference
 */
export function familiarReference(canonical: string): string {
  const full = formatReference(parseReference(canonical));
  if (!full.startsWith(`${DEFAULT_DOMAIN}/`)) return full;
  const short = full.slice(DEFAULT_DOMAIN.length + 1);
  const official = short.startsWith(OFFICIAL_PREFIX) ? short.slice(OFFICIAL_PREFIX.length) : short;
  return [official, short].find((candidate) => means(candidate, full)) ?? full;
}

function means(text: string, full: string): boolean {
  try {
    return formatReference(parseReference(text)) === full;
  } catch (error) {
    if (error instanceof StoreError) return false;
    throw error;
  }
}

function invalid(text: string, problem: string): StoreError {
  const shown = text.slice(0, 100);
  return new StoreError('REFERENCE_INVALID', `${JSON.stringify(shown)} is not a reference: ${problem}`, {
    data: { reference: shown },
  });
}

/**
 * Returns `text` if it is the name of a repository.
 * @throws {StoreError} REFERENCE_INVALID, also if it has a tag or a digest
 */
export function parseRepository(text: string): string {
  const { tag, digest } = parseReference(text);
  if (tag === undefined && digest === undefined) return text;
  throw new StoreError('REFERENCE_INVALID', `${JSON.stringify(text)} is no repository: it has a tag or a digest`, {
    data: { reference: text },
  });
}
