import {
  type Access,
  AccessRefusal,
  type Connection,
  type Credentials,
  type Grant,
  type SessionToken,
} from './access.js';
import { parseAuthorization, type Presented } from './authorization.js';
import { certificateUser, type PeerFinder, peerFinder } from './peers.js';
import { type Attempt, LoginLimits, parseHtpasswd, Passwords, type Users } from './passwords.js';
import { type AccessOptions, type CertificateName, checkOptions } from './options.js';
import { type Identity, Rules } from './rules.js';
import { isToken, type Session, SessionTokens, TokenFailure, Tokens } from './tokens.js';
import { WatchedFile } from './watched-file.js';

/** What a configuration cannot hold. */
export interface AccessSurroundings {
  /** Milliseconds since the epoch; default the clock. */
  readonly now?: (() => number) | undefined;
  /** Receives why a changed file is not used; default a process warning. */
  readonly onNotice?: ((notice: string) => void) | undefined;
}

/**
 * Returns the access that `options` describe. Credentials are taken only over TLS, from this machine
 * or by a unix socket. The user who runs the server, and root, may do everything by the unix socket.
 * @throws {StoreError} ACCESS_INVALID naming the option or the line of a file; FILE_NOT_FOUND, IO_FAILED
 */
export async function accessFrom(options: AccessOptions, surroundings: AccessSurroundings = {}): Promise<Access> {
  checkOptions(options);
  const { now = Date.now, onNotice = (notice: string) => process.emitWarning(notice) } = surroundings;
  const { users, tokens = [], certificates, socket = { peer: 'mode' }, rules, url } = options;
  return new ConfiguredAccess({
    now,
    rules: new Rules(rules),
    users:
      users === undefined ? undefined : await WatchedFile.open({ path: users, parse: parseHtpasswd, now, onNotice }),
    tokens: tokens.length === 0 ? undefined : await Tokens.open(tokens, { now, onNotice }),
    certificateName: certificates?.user,
    peerOf: peerFinder(socket),
    url,
  });
}

interface Parts {
  readonly now: () => number;
  readonly rules: Rules;
  readonly users: WatchedFile<Users> | undefined;
  readonly tokens: Tokens | undefined;
  readonly certificateName: CertificateName | undefined;
  readonly peerOf: PeerFinder;
  readonly url: string | undefined;
}

/** Login with a name and password. */
interface NamedLogin {
  readonly user: string;
  readonly password: string;
}

class ConfiguredAccess implements Access {
  readonly #parts: Parts;
  readonly #passwords = new Passwords();
  readonly #limits: LoginLimits;
  readonly #sessionTokens: SessionTokens;
  readonly #sessions = new WeakMap<Grant, Session>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#limits = new LoginLimits(parts.now);
    this.#sessionTokens = new SessionTokens(parts.now);
  }

  async authenticate({ authorization, connection }: Credentials): Promise<Grant> {
    const presented = parseAuthorization(authorization);
    switch (presented.scheme) {
      case 'none':
        return this.#grantOfConnection(connection);
      case 'malformed':
        throw new AccessRefusal('malformed', presented.why);
      case 'other':
        throw new AccessRefusal('unproved', 'log in with a name and password, or a token', {
          reason: 'another scheme than Basic and Bearer',
        });
      case 'basic':
      case 'bearer':
        return this.#grantOfLogin(presented, connection);
    }
  }

  challenge(origin: string, scope?: string): string | undefined {
    const { users, tokens, rules, url } = this.#parts;
    if (users === undefined && tokens === undefined) return undefined;
    // Clients that learn of Basic alone never read without a password, where anyone may read.
    if (!rules.hasAnonymous && tokens === undefined) return 'Basic realm="imagelog", charset="UTF-8"';
    const realm = new URL('/v2/token', url ?? origin).href;
    return `Bearer realm="${realm}",service="imagelog"${scope === undefined ? '' : `,scope="${scope}"`}`;
  }

  sessionToken(grant: Grant): SessionToken | undefined {
    const session = this.#sessions.get(grant);
    if (session === undefined || (session.actor === undefined && !this.#parts.rules.hasAnonymous)) return undefined;
    return this.#sessionTokens.make(session);
  }

  /** The peer is found before anything is awaited. */
  #grantOfConnection(connection: Connection | undefined): Grant {
    if (connection?.kind === 'unix') return this.#grantOfPeer(connection);
    const { certificateName } = this.#parts;
    const certificate = connection?.certificate;
    if (certificate === undefined || certificateName === undefined) return this.#grantOf(undefined);
    const user = certificateUser(certificate, certificateName);
    if (user === undefined) {
      throw new AccessRefusal('denied', `a certificate without exactly one name of the kind ${certificateName}`);
    }
    return this.#grantOf({ names: [user], by: 'certificate' });
  }

  #grantOfPeer(connection: Connection): Grant {
    const { names, isOwner } = this.#parts.peerOf(connection);
    const [name, ...others] = names;
    if (isOwner) return { actor: name, isLoggedIn: true, hasRights: true, mayNameActor: true, may: () => true };
    return this.#grantOf(name === undefined ? undefined : { names: [name, ...others], by: 'socket' });
  }

  #grantOf(identity: Identity | undefined, untilMs: number = Number.MAX_SAFE_INTEGER): Grant {
    return this.#grantOfSession({ actor: identity?.names[0], rules: this.#parts.rules.of(identity), untilMs });
  }

  #grantOfSession(session: Session): Grant {
    const grant = this.#parts.rules.grant(session.actor, session.rules);
    this.#sessions.set(grant, session);
    return grant;
  }

  async #grantOfLogin(
    presented: Extract<Presented, { scheme: 'basic' | 'bearer' }>,
    connection: Connection | undefined,
  ): Promise<Grant> {
    const { kind, isEncrypted, isLoopback, address } = connection ?? {};
    if (kind === 'tcp' && !isEncrypted && !isLoopback) {
      throw new AccessRefusal('denied', 'credentials over plain HTTP: change them, and use https', {
        reason: `credentials over plain HTTP; if ${address} is a proxy with TLS, name it in trusted-proxies`,
      });
    }
    const counted = kind === 'tcp' && !isLoopback ? address : undefined;
    if (presented.scheme === 'basic' && !isToken(presented.password)) return this.#grantOfUser(presented, counted);
    return this.#grantOfToken(presented.scheme === 'basic' ? presented.password : presented.token, counted);
  }

  async #grantOfUser({ user, password }: NamedLogin, address: string | undefined): Promise<Grant> {
    const users = await this.#parts.users?.current();
    const identity: Identity = { names: [user], by: 'password' };
    if (users !== undefined && this.#passwords.isKnown(users, user, password)) return this.#grantOf(identity);
    const attempt = { address, user };
    this.#begin(attempt);
    const isRight = users !== undefined && (await this.#passwords.check(users, user, password));
    if (isRight !== false) this.#limits.succeeded(attempt);
    if (isRight === undefined) {
      throw new AccessRefusal('too many', 'too many logins at once', { user, retryAfterSeconds: 1 });
    }
    if (!isRight) {
      throw new AccessRefusal('unproved', 'wrong name or password', { user });
    }
    return this.#grantOf(identity);
  }

  async #grantOfToken(token: string, address: string | undefined): Promise<Grant> {
    if (this.#sessionTokens.isOne(token)) {
      const session = this.#sessionTokens.read(token);
      if (session !== undefined) return this.#grantOfSession(session);
      throw new AccessRefusal('unproved', 'the token is over: get another', { reason: 'a session token that is over' });
    }
    const attempt = { address, user: undefined };
    this.#begin(attempt);
    try {
      const { tokens } = this.#parts;
      if (tokens === undefined) throw new TokenFailure('forged', 'a token, but no issuer is trusted');
      const { identity, expiresMs } = await tokens.verify(token);
      this.#limits.succeeded(attempt);
      return this.#grantOf(identity, expiresMs);
    } catch (error) {
      if (!(error instanceof TokenFailure)) throw error;
      if (error.kind !== 'forged') this.#limits.succeeded(attempt);
      if (error.kind === 'undecided') throw new AccessRefusal('undecided', error.message, { retryAfterSeconds: 5 });
      throw new AccessRefusal('unproved', error.message);
    }
  }

  #begin(attempt: Attempt): void {
    const retryAfterSeconds = this.#limits.begin(attempt);
    if (retryAfterSeconds === undefined) return;
    throw new AccessRefusal('too many', 'too many failed logins', { user: attempt.user, retryAfterSeconds });
  }
}
