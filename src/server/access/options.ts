import { StoreError, thrownText } from '../../errors.js';
import { MAX_CLOCK_TOLERANCE_S } from '../../limits.js';
import { type OptionNames, refuseUnknown } from '../../model/option-names.js';
import type { Action } from './access.js';

/** How a request proves who sent it. */
export type ProofKind = 'password' | 'token' | 'certificate' | 'socket';

/** Which part of a client certificate is the user's name: of the subject, or of its alternative names. */
export type CertificateName = 'CN' | 'email' | 'DNS' | 'URI';

/** Who may what, as plain JSON. Without a rule that allows it, nothing is allowed. */
export interface AccessOptions {
  /** Path of a file that `htpasswd -B` writes; read again when it changes. */
  readonly users?: string | undefined;
  /** Issuers of JSON Web Tokens that are taken. */
  readonly tokens?: readonly TokenIssuer[] | undefined;
  /** Takes client certificates that TLS has checked. */
  readonly certificates?: { readonly user: CertificateName } | undefined;
  /** Who sends requests by the unix socket; default `{ peer: 'mode' }`. */
  readonly socket?: SocketOptions | undefined;
  readonly rules: readonly Rule[];
  /** Address of the server as clients name it; default what each request names. */
  readonly url?: string | undefined;
}

/** How the user of a unix socket is found. */
export interface SocketOptions {
  /**
   * `mode`: the mode of the socket says it: 0600 its owner, 0660 `group:NAME`, otherwise unknown.
   * `kernel`: the kernel says it (SO_PEERCRED, Linux), for which the package koffi must be installed.
   */
  readonly peer: 'mode' | 'kernel';
}

/** An issuer of tokens (OpenID Connect). */
export interface TokenIssuer {
  /** Claim `iss`. */
  readonly issuer: string;
  /** Claim `aud`: one of these. */
  readonly audience: string | readonly string[];
  /** The issuer's public keys, a JWKS: from an address (https, http on this machine only) or a file. */
  readonly keys: { readonly url: string } | { readonly file: string };
  /** Default all asymmetric ones; others, and `none`, cannot be allowed. */
  readonly algorithms?: readonly string[] | undefined;
  /** Default 5, at most 300. */
  readonly clockToleranceSeconds?: number | undefined;
  /** Name of the actor, with claims in braces: `ci:{repository}`; default `{sub}`. */
  readonly actor?: string | undefined;
}

/** Claims of a token, each with the pattern that one of its values fits. */
export interface ClaimPatterns {
  /** Required where there are several issuers: the same claim of another one means something else. */
  readonly issuer?: string | undefined;
  readonly claims: Readonly<Record<string, string>>;
}

/** What somebody may do. */
export interface Rule {
  /**
   * A pattern of user names (`*` stops at a slash), claims of a token, `*` for all who logged in, or
   * `anonymous` for all, logged in or not.
   */
  readonly who: string | ClaimPatterns;
  /**
   * How a user whose name fits must have logged in. Default: not by a token, as its issuer chooses the
   * name, and may give tokens to everybody.
   */
  readonly by?: readonly ProofKind[] | undefined;
  /** `admin` includes the others. */
  readonly may: readonly Action[];
  /** Patterns of repositories, `shop/*` or `shop/**` with all below; default the whole store. */
  readonly repositories?: readonly string[] | undefined;
}

const optionNames: OptionNames<AccessOptions> = {
  users: true,
  tokens: true,
  certificates: true,
  socket: true,
  rules: true,
  url: true,
};
const issuerNames: OptionNames<TokenIssuer> = {
  issuer: true,
  audience: true,
  keys: true,
  algorithms: true,
  clockToleranceSeconds: true,
  actor: true,
};
const ruleNames: OptionNames<Rule> = { who: true, by: true, may: true, repositories: true };

/** Signatures by a private key, which no public key can make. */
export const asymmetricAlgorithms: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const actions: readonly Action[] = ['read', 'push', 'delete', 'admin'];
const proofs: readonly ProofKind[] = ['password', 'token', 'certificate', 'socket'];
const certificateNames: readonly CertificateName[] = ['CN', 'email', 'DNS', 'URI'];

/** Checks options that came from a file. @throws {StoreError} ACCESS_INVALID naming the option and what it expects */
export function checkOptions(options: AccessOptions): void {
  names('access', options, optionNames);
  const { users, tokens = [], certificates, socket, rules, url } = options;
  if (users !== undefined) text('users', users);
  list('tokens', tokens);
  for (const [at, issuer] of tokens.entries()) checkIssuer(`tokens[${at}]`, issuer);
  if (new Set(tokens.map(({ issuer }) => issuer)).size < tokens.length) throw invalidOption('tokens', 'one per issuer');
  if (certificates !== undefined) {
    names('certificates', certificates, { user: true });
    oneOf('certificates.user', certificates.user, certificateNames);
  }
  if (socket !== undefined) {
    names('socket', socket, { peer: true });
    oneOf('socket.peer', socket.peer, ['mode', 'kernel']);
  }
  if (url !== undefined && !/^https?:$/.test(urlOf('url', url).protocol)) throw invalidOption('url', 'an http address');
  list('rules', rules);
  for (const [at, rule] of rules.entries()) checkRule(`rules[${at}]`, rule, tokens);
}

function checkIssuer(where: string, issuer: TokenIssuer): void {
  names(where, issuer, issuerNames);
  text(`${where}.issuer`, issuer.issuer);
  const audiences = [issuer.audience].flat();
  if (audiences.length === 0) throw invalidOption(`${where}.audience`, 'at least one audience');
  for (const audience of audiences) text(`${where}.audience`, audience);
  checkKeys(`${where}.keys`, issuer.keys);
  const { algorithms = asymmetricAlgorithms, clockToleranceSeconds = 0, actor = '{sub}' } = issuer;
  list(`${where}.algorithms`, algorithms);
  if (algorithms.length === 0) throw invalidOption(`${where}.algorithms`, 'at least one algorithm');
  for (const algorithm of algorithms) oneOf(`${where}.algorithms`, algorithm, asymmetricAlgorithms);
  if (!(clockToleranceSeconds >= 0 && clockToleranceSeconds <= MAX_CLOCK_TOLERANCE_S)) {
    throw invalidOption(`${where}.clockToleranceSeconds`, `0 to ${MAX_CLOCK_TOLERANCE_S}`);
  }
  text(`${where}.actor`, actor);
  if (/[{}]/.test(actor.replace(/\{[^{}]+\}/g, ''))) throw invalidOption(`${where}.actor`, 'claims in braces: {sub}');
}

function checkKeys(where: string, keys: TokenIssuer['keys']): void {
  if ('file' in Object(keys)) {
    names(where, keys as { readonly file: string }, { file: true });
    text(`${where}.file`, (keys as { readonly file: string }).file);
    return;
  }
  names(where, keys as { readonly url: string }, { url: true });
  const { protocol, hostname } = urlOf(`${where}.url`, (keys as { readonly url: string }).url);
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLocal)) {
    throw invalidOption(`${where}.url`, 'https, as others could put their keys there');
  }
}

function checkRule(where: string, rule: Rule, tokens: readonly TokenIssuer[]): void {
  names(where, rule, ruleNames);
  const { who, by, may, repositories } = rule;
  if (typeof who === 'string') text(`${where}.who`, who);
  else checkClaims(`${where}.who`, who, tokens);
  if (by !== undefined) {
    list(`${where}.by`, by);
    if (typeof who !== 'string' || who === 'anonymous') throw invalidOption(`${where}.by`, 'a user name in who');
    for (const proof of by) oneOf(`${where}.by`, proof, proofs);
  }
  list(`${where}.may`, may);
  for (const action of may) oneOf(`${where}.may`, action, who === 'anonymous' ? ['read'] : actions);
  if (repositories === undefined) return;
  list(`${where}.repositories`, repositories);
  for (const pattern of repositories) text(`${where}.repositories`, pattern);
}

function checkClaims(where: string, who: ClaimPatterns, tokens: readonly TokenIssuer[]): void {
  names(where, who, { issuer: true, claims: true });
  object(`${where}.claims`, who.claims);
  const patterns = Object.entries(who.claims);
  if (patterns.length === 0) throw invalidOption(`${where}.claims`, 'at least one claim');
  for (const [claim, pattern] of patterns) text(`${where}.claims.${claim}`, pattern);
  const issuers = tokens.map(({ issuer }) => issuer);
  if (who.issuer !== undefined) oneOf(`${where}.issuer`, who.issuer, issuers);
  else if (issuers.length !== 1) throw invalidOption(`${where}.issuer`, 'the issuer of the claims, one of tokens');
}

function names<Options>(where: string, value: Options, known: OptionNames<Options>): void {
  object(where, value);
  try {
    refuseUnknown(value, known, `name in ${where}`);
  } catch (cause) {
    throw new StoreError('ACCESS_INVALID', thrownText(cause), { cause });
  }
}

function object(where: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidOption(where, 'an object');
}

function list(where: string, value: unknown): void {
  if (!Array.isArray(value)) throw invalidOption(where, 'a list');
}

function text(where: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw invalidOption(where, 'a text that is not empty');
}

function oneOf(where: string, value: unknown, known: readonly unknown[]): void {
  if (!known.includes(value)) throw invalidOption(where, known.length === 0 ? 'nothing' : `one of ${known.join(', ')}`);
}

function urlOf(where: string, value: string): URL {
  text(where, value);
  if (!URL.canParse(value)) throw invalidOption(where, 'an address');
  return new URL(value);
}

/** Returns the error for an option of the wrong form. */
export function invalidOption(where: string, expected: string, cause?: unknown): StoreError {
  const options = { data: { option: where }, ...(cause === undefined ? {} : { cause }) };
  return new StoreError('ACCESS_INVALID', `${where} of the access options: expected ${expected}`, options);
}
