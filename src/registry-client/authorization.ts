import { isDeepStrictEqual } from 'node:util';
import { isStoreError, StoreError } from '../errors.js';
import { type Credentials, type FindCredentials, type FoundCredentials, recordOf } from './credentials.js';
import { TransientFailure } from './retry.js';
import { discardBody, readBody, type Transport, type WireRequest, type WireResponse } from './transport.js';

/** What a request is for: who is asked depends on the repository, what is granted on the scopes. */
export interface Purpose {
  readonly path: string;
  /** Scopes of tokens: `repository:shop/app:pull`. */
  readonly scopes: readonly string[];
}

interface Token {
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What a token is for, and who asked for it. */
interface TokenRequest {
  readonly challenge: Challenge;
  readonly scopes: readonly string[];
  readonly purpose: Purpose;
}

interface AuthorizationOptions {
  readonly host: string;
  /** Whether the registry is reached without TLS, so that its tokens may be too. */
  readonly isPlain: boolean;
  readonly transport: Transport;
  readonly find: FindCredentials;
  readonly now: () => number;
}

/** An `Authorization` header, and the credentials that it was made of. */
export interface SentAuthorization {
  readonly header: string;
  readonly found: Promise<FoundCredentials>;
}

/** Lifetime of a token that does not say it (distribution, token authentication specification). */
const USUAL_TOKEN_SECONDS = 60;
/** A token is renewed so long before its end. */
const RENEWAL_MS = 10_000;
const CLIENT_ID = 'imagelog';

/** Answers the challenges of one registry, and remembers the answers. */
export class Authorization {
  readonly #options: AuthorizationOptions;
  readonly #found = new Map<string, Promise<FoundCredentials>>();
  readonly #tokens = new Map<string, Token>();
  #challenge: Challenge | undefined;

  constructor(options: AuthorizationOptions) {
    this.#options = options;
  }

  /**
   * Returns the `Authorization` header of a request; undefined before the first challenge.
   * @throws as `accept`
   */
  async header(purpose: Purpose, signal: AbortSignal | undefined): Promise<SentAuthorization | undefined> {
    const header = this.#challenge && (await this.#answer(this.#challenge, purpose, signal));
    return header === undefined ? undefined : { header, found: this.#credentials(purpose, signal) };
  }

  /**
   * Takes the challenge of an answer 401; the next header answers it. Credentials that were `sent`
   * are looked for again: they may have been replaced.
   * @throws {StoreError} REGISTRY_DENIED for one that cannot be answered
   */
  accept(response: WireResponse, purpose: Purpose, sent: SentAuthorization | undefined): void {
    if (sent !== undefined) this.#forget(purpose, sent.found);
    const challenges = parseChallenges(response.headers['www-authenticate']);
    const known = challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(isBasic);
    if (known === undefined) {
      const found = challenges.map(({ scheme }) => scheme).join(', ') || 'none';
      throw denied(
        `${this.#options.host} wants credentials that cannot be given: Basic or Bearer expected, ${found} found`,
      );
    }
    this.#challenge = known;
    this.#tokens.delete(tokenKey(scopesOf(known, purpose)));
  }

  /** Returns the places where credentials were looked for, for a message; empty if nothing was asked. */
  async places(purpose: Purpose, signal: AbortSignal | undefined): Promise<FoundCredentials> {
    return this.#credentials(purpose, signal);
  }

  async #answer(challenge: Challenge, purpose: Purpose, signal: AbortSignal | undefined): Promise<string | undefined> {
    const { credentials } = await this.#credentials(purpose, signal);
    if (credentials?.type === 'access') return `Bearer ${credentials.token}`;
    if (isBasic(challenge)) return credentials?.type === 'password' ? basic(credentials) : undefined;
    const scopes = scopesOf(challenge, purpose);
    const key = tokenKey(scopes);
    const known = this.#tokens.get(key);
    if (known !== undefined && known.expiresAt - RENEWAL_MS > this.#options.now()) return `Bearer ${known.text}`;
    const token = await this.#newToken({ challenge, scopes, purpose }, signal);
    this.#tokens.set(key, token);
    return `Bearer ${token.text}`;
  }

  /** Fetches a token, a second time if other credentials are found than those that were refused. */
  async #newToken({ challenge, scopes, purpose }: TokenRequest, signal: AbortSignal | undefined): Promise<Token> {
    const found = this.#credentials(purpose, signal);
    const { credentials } = await found;
    try {
      return await this.#token(challenge, scopes, credentials, signal);
    } catch (error) {
      if (credentials === undefined || !isStoreError(error, 'REGISTRY_DENIED')) throw error;
      this.#forget(purpose, found);
      const { credentials: replaced } = await this.#credentials(purpose, signal);
      if (isDeepStrictEqual(replaced, credentials)) throw error;
      return this.#token(challenge, scopes, replaced, signal);
    }
  }

  #credentials({ path }: Purpose, signal: AbortSignal | undefined): Promise<FoundCredentials> {
    const known = this.#found.get(path);
    if (known !== undefined) return known;
    const found = this.#options.find(this.#options.host, path, signal);
    this.#found.set(path, found);
    found.catch(() => this.#forget({ path }, found));
    return found;
  }

  /** Other requests may have found newer ones meanwhile. */
  #forget({ path }: Pick<Purpose, 'path'>, found: Promise<FoundCredentials>): void {
    if (this.#found.get(path) === found) this.#found.delete(path);
  }

  async #token(
    challenge: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const { host, isPlain, transport, now } = this.#options;
    const request = tokenRequest(host, challenge, scopes, credentials);
    if (request.url.protocol === 'http:' && !isPlain) {
      throw denied(`${host} wants a token from ${request.url.origin}: over plain HTTP no credentials are sent`);
    }
    const response = await transport.send(request, signal);
    const { status, url } = response;
    if (status === 429 || status >= 500) {
      discardBody(response);
      throw new TransientFailure(`${url.host}, which gives tokens for ${host}, answered ${status}`);
    }
    if (status !== 200) {
      discardBody(response);
      throw denied(`${url.host}, which gives tokens for ${host}, answered ${status}`);
    }
    const bytes = await readBody(response, { what: `the token of ${url.host}`, signal });
    return tokenOf(bytes, url, now());
  }
}

function tokenRequest(
  host: string,
  { parameters }: Challenge,
  scopes: readonly string[],
  credentials: Credentials | undefined,
): WireRequest {
  const realm = parameters.get('realm') ?? '';
  const service = parameters.get('service');
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw denied(`${host} wants a token from ${JSON.stringify(realm.slice(0, 200))}, which is no address`);
  }
  if (credentials?.type === 'identity') {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID });
    if (service !== undefined) form.set('service', service);
    if (scopes.length > 0) form.set('scope', scopes.join(' '));
    form.set('refresh_token', credentials.token);
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    return { method: 'POST', url, headers, body: Buffer.from(form.toString()) };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const own = credentials?.type === 'password' ? { authorization: basic(credentials) } : {};
  return { method: 'GET', url, headers: { accept: 'application/json', ...own } };
}

function tokenOf(bytes: Uint8Array, url: URL, nowMs: number): Token {
  let answer: Readonly<Record<string, unknown>> = {};
  try {
    answer = recordOf(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    // Told below, without what was found: it may be secret.
  }
  const text = answer['token'] || answer['access_token'];
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text)) {
    throw new StoreError('REGISTRY_INVALID', `cannot read the token of ${url.host}: expected JSON with a token`, {
      data: { host: url.host },
    });
  }
  const lifetime = answer['expires_in'];
  const seconds = typeof lifetime === 'number' && lifetime > 0 ? lifetime : USUAL_TOKEN_SECONDS;
  return { text, expiresAt: nowMs + seconds * 1_000 };
}

/** The scopes of a request, and those that the registry asks for itself. */
function scopesOf({ parameters }: Challenge, { scopes }: Purpose): readonly string[] {
  const asked = (parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== '');
  const missing = asked.filter((scope) => !scopes.some((own) => covers(own, scope)));
  return [...scopes, ...missing];
}

/** Whether the scope `own` grants all that `asked` names: `repository:a:pull,push` covers `repository:a:pull`. */
function covers(own: string, asked: string): boolean {
  const [ownActions, askedActions] = [actionsOf(own), actionsOf(asked)];
  return resourceOf(own) === resourceOf(asked) && askedActions.every((action) => ownActions.includes(action));
}

function resourceOf(scope: string): string {
  return scope.slice(0, scope.lastIndexOf(':'));
}

function actionsOf(scope: string): readonly string[] {
  return scope.slice(scope.lastIndexOf(':') + 1).split(',');
}

function tokenKey(scopes: readonly string[]): string {
  return [...scopes].sort().join(' ');
}

function isBasic({ scheme }: Challenge): boolean {
  return scheme === 'basic';
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function denied(message: string): StoreError {
  return new StoreError('REGISTRY_DENIED', message);
}

/** A way to authenticate that a registry offers (RFC 9110, 11.6.1). */
interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const SCHEME = new RegExp(`^\\s*(${TOKEN})(?:\\s+|$)`);
const PARAMETER = new RegExp(`^\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,]+))\\s*(,|$)`);

/** Parses a `WWW-Authenticate` header; what follows a part that is malformed is ignored. */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header ?? '';
  for (;;) {
    const scheme = SCHEME.exec(rest);
    if (scheme === null) return challenges;
    rest = rest.slice(scheme[0].length);
    const parameters = new Map<string, string>();
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters });
    for (let found = PARAMETER.exec(rest); found !== null; found = PARAMETER.exec(rest)) {
      const [whole, name = '', quoted, plain = ''] = found;
      parameters.set(name.toLowerCase(), quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1'));
      rest = rest.slice(whole.length);
    }
    rest = rest.replace(/^\s*,/, '');
  }
}
