import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from 'jose';
import { StoreError } from '../../errors.js';
import {
  JWKS_COOLDOWN_MS,
  JWKS_MAX_AGE_MS,
  JWKS_TIMEOUT_MS,
  MAX_ACCESS_FILE_BYTES,
  MAX_ACTOR_BYTES,
  SESSION_TOKEN_MS,
} from '../../limits.js';
import { readBounded } from '../../model/bytes.js';
import type { SessionToken } from './access.js';
import { asymmetricAlgorithms, type TokenIssuer } from './options.js';
import { type Identity, valuesOf } from './rules.js';
import { WatchedFile } from './watched-file.js';

/** Whether a text has the form of a signed token: so passwords that are tokens are found. */
export function isToken(text: string): boolean {
  return /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/.test(text);
}

/** Who a token is of, until when. */
export interface VerifiedToken {
  readonly identity: Identity;
  /** Milliseconds since the epoch. */
  readonly expiresMs: number;
}

/** A token that does not hold. The message has nothing of it. */
export class TokenFailure extends Error {
  override readonly name = 'TokenFailure';
  /** `forged`: nobody we know signed it; `unfit`: somebody did, but not for here and now; `undecided`: keys cannot be had. */
  readonly kind: 'forged' | 'unfit' | 'undecided';

  constructor(kind: TokenFailure['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

interface TokensOptions {
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
}

interface Issuer {
  readonly options: TokenIssuer;
  readonly keys: () => Promise<JWTVerifyGetKey>;
}

/** Checks tokens of the issuers that a server trusts. */
export class Tokens {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #now: () => number;

  private constructor(issuers: ReadonlyMap<string, Issuer>, now: () => number) {
    this.#issuers = issuers;
    this.#now = now;
  }

  /** @throws {StoreError} as `WatchedFile.open`, for files of keys */
  static async open(issuers: readonly TokenIssuer[], options: TokensOptions): Promise<Tokens> {
    const opened = new Map<string, Issuer>();
    for (const issuer of issuers) {
      opened.set(issuer.issuer, { options: issuer, keys: await keysOf(issuer, options) });
    }
    return new Tokens(opened, options.now);
  }

  /** @throws {TokenFailure} */
  async verify(token: string): Promise<VerifiedToken> {
    const issuer = this.#issuers.get(claimedIssuer(token));
    if (issuer === undefined) throw new TokenFailure('forged', 'a token of an unknown issuer');
    const { options } = issuer;
    const payload = await verified(token, issuer, this.#now());
    const identity: Identity = {
      names: [actorOf(options.actor ?? '{sub}', payload)],
      by: 'token',
      issuer: options.issuer,
      claims: payload,
    };
    return { identity, expiresMs: (payload.exp ?? 0) * 1000 };
  }
}

/** What the token says before it is checked: which keys to check it with. */
function claimedIssuer(token: string): string {
  try {
    return decodeJwt(token).iss ?? '';
  } catch (cause) {
    throw new TokenFailure('forged', 'a malformed token', cause);
  }
}

async function verified(token: string, { options, keys }: Issuer, now: number): Promise<JWTPayload> {
  const { issuer, audience, algorithms = asymmetricAlgorithms, clockToleranceSeconds = 5 } = options;
  try {
    const { payload } = await jwtVerify(token, await keys(), {
      issuer,
      audience: [audience].flat(),
      algorithms: [...algorithms],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now),
      requiredClaims: ['exp'],
    });
    return payload;
  } catch (error) {
    throw failureOf(error);
  }
}

const forged: Readonly<Record<string, string>> = {
  ERR_JWS_INVALID: 'a malformed token',
  ERR_JWT_INVALID: 'a malformed token',
  ERR_JOSE_ALG_NOT_ALLOWED: 'a token with an algorithm that is not allowed',
  ERR_JOSE_NOT_SUPPORTED: 'a token with an algorithm that is not supported',
  ERR_JWKS_NO_MATCHING_KEY: 'a token signed with an unknown key',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'a token that does not say which key signed it',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'a token whose signature is wrong',
};

function failureOf(error: unknown): TokenFailure {
  if (error instanceof errors.JWTExpired) return new TokenFailure('unfit', 'an expired token', error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    const why = error.claim === 'nbf' ? 'a token that is not valid yet' : `a token with another ${error.claim}`;
    return new TokenFailure('unfit', why, error);
  }
  const message = error instanceof errors.JOSEError ? forged[error.code] : undefined;
  if (message !== undefined) return new TokenFailure('forged', message, error);
  return new TokenFailure('undecided', 'a token whose issuer’s keys cannot be had now', error);
}

function actorOf(template: string, claims: JWTPayload): string {
  const name = template.replaceAll(/\{([^{}]+)\}/g, (_, claim: string) => {
    const [value, another] = valuesOf(claims, claim);
    if (value === undefined || another !== undefined) {
      throw new TokenFailure('unfit', `a token without the claim ${claim} that names the actor`);
    }
    return value;
  });
  if (name === '' || /\p{Cc}/u.test(name) || Buffer.byteLength(name) > MAX_ACTOR_BYTES) {
    throw new TokenFailure('unfit', 'a token whose claims make no name of an actor');
  }
  return name;
}

async function keysOf({ keys }: TokenIssuer, { now, onNotice }: TokensOptions): Promise<Issuer['keys']> {
  if ('file' in keys) {
    const file = await WatchedFile.open({ path: keys.file, parse: parseKeys, now, onNotice });
    return () => file.current();
  }
  const remote = createRemoteJWKSet(new URL(keys.url), {
    timeoutDuration: JWKS_TIMEOUT_MS,
    cooldownDuration: JWKS_COOLDOWN_MS,
    cacheMaxAge: JWKS_MAX_AGE_MS,
    [customFetch]: fetchBounded,
  });
  return async () => remote;
}

function parseKeys(bytes: Uint8Array): JWTVerifyGetKey {
  try {
    return createLocalJWKSet(JSON.parse(new TextDecoder().decode(bytes)) as JSONWebKeySet);
  } catch (cause) {
    throw new StoreError('ACCESS_INVALID', 'the file of keys is not a JWKS', { cause });
  }
}

/** As `fetch`, but of an answer of at most MAX_ACCESS_FILE_BYTES. */
async function fetchBounded(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  const bytes = await readBounded(response.body ?? [], MAX_ACCESS_FILE_BYTES);
  if (bytes === undefined) throw new RangeError(`keys of more than ${MAX_ACCESS_FILE_BYTES} bytes`);
  return new Response(bytes, { status: response.status });
}

/** What a session token vouches for. */
export interface Session {
  /** Undefined: nobody logged in. */
  readonly actor: string | undefined;
  /** Numbers of the rules for it. */
  readonly rules: readonly number[];
  /** Milliseconds since the epoch; at most SESSION_TOKEN_MS after its token was made. */
  readonly untilMs: number;
}

const PREFIX = 'imagelog_';

/**
 * Makes and checks tokens that stand for a login (the token protocol of Docker registries), under a
 * key of this process: a restart ends all of them.
 */
export class SessionTokens {
  readonly #key = randomBytes(32);
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A token of a session that began with a token ends with it. */
  make({ actor, rules, untilMs }: Session): SessionToken {
    const now = this.#now();
    const endMs = Math.min(untilMs, now + SESSION_TOKEN_MS);
    const payload = Buffer.from(JSON.stringify([actor ?? null, rules, endMs])).toString('base64url');
    return {
      token: `${PREFIX}${payload}.${this.#mac(payload).toString('base64url')}`,
      expiresInSeconds: Math.max(0, Math.floor((endMs - now) / 1000)),
      issuedAt: new Date(now),
    };
  }

  isOne(token: string): boolean {
    return token.startsWith(PREFIX);
  }

  /** Returns what the token vouches for; undefined if it is not ours, or over. */
  read(token: string): Session | undefined {
    const [payload = '', mac = '', more] = token.slice(PREFIX.length).split('.');
    const [given, expected] = [Buffer.from(mac, 'base64url'), this.#mac(payload)];
    if (more !== undefined || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    // Only we can have made it: its form is known.
    const session = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [string | null, number[], number];
    const [actor, rules, untilMs] = session;
    return untilMs > this.#now() ? { actor: actor ?? undefined, rules, untilMs } : undefined;
  }

  #mac(payload: string): Buffer {
    return createHmac('sha256', this.#key).update(payload).digest();
  }
}
