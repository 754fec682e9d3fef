import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { StoreError } from '../../errors.js';
import {
  JWKS_COOLDOWN_MS,
  JWKS_MAX_AGE_MS,
  JWKS_TIMEOUT_MS,
  MAX_ACCESS_FILE_BYTES,
  MAX_ACTOR_BYTES,
} from '../../limits.js';
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
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ACCESS_FILE_BYTES) throw new RangeError(`keys of more than ${MAX_ACCESS_FILE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: response.status });
}
