import type { PeerCertificate } from 'node:tls';
import { type HttpCode, HttpFailure } from '../failure.js';

/** What a request wants to do. `admin` includes what changes neither images nor references, as upkeep. */
export type Action = 'read' | 'push' | 'delete' | 'admin';

/** What a request shows of who sent it. */
export interface Credentials {
  /** Each header `Authorization`, as sent. */
  readonly authorization: readonly string[];
  /** Where the connection comes from; undefined where a program calls `fetch` itself. */
  readonly connection: Connection | undefined;
}

/** The connection of a request. */
export interface Connection {
  readonly kind: 'unix' | 'tcp';
  /** Address of the client; of a unix socket empty. */
  readonly address: string;
  readonly isLoopback: boolean;
  readonly isEncrypted: boolean;
  /** Checked against the server's authorities by TLS. */
  readonly certificate: PeerCertificate | undefined;
  /** Path of the unix socket that the server listens on, if it has one. */
  readonly socketPath: string | undefined;
  /** File descriptor of the connection while it is open; undefined where Node does not tell. */
  readonly descriptor: number | undefined;
}

/** Who a request is from, and what it may do. */
export interface Grant {
  /**
   * Actor of its events. Undefined for one that proved no name: `anonymous` over TCP or where it may not
   * name an actor, else the store's own.
   */
  readonly actor: string | undefined;
  /** Whether the request proved who sent it; without, a refusal asks to log in. */
  readonly isLoggedIn: boolean;
  /** Whether it may do anything at all. */
  readonly hasRights: boolean;
  /** Whether the actor may be another one, as the command line's `--actor` on the machine itself. */
  readonly mayNameActor: boolean;
  /**
   * Whether it may do `action` in `repository` (canonical: `docker.io/shop/app`). Without a repository
   * the action concerns the whole store: a right in some repositories is not enough.
   */
  may(action: Action, repository?: string): boolean;
}

/** Why a request was refused, for the access log. Holds no secrets. */
export interface Refusal {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Empty for a unix socket, undefined where a program calls `fetch`. */
  readonly address: string | undefined;
  /** Name that was proved, or given with a wrong password. */
  readonly user: string | undefined;
  readonly status: number;
  readonly reason: string;
  /** Without the query. */
  readonly path: string;
}

/** A token that stands for a login for some minutes. */
export interface SessionToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly issuedAt: Date;
}

/** Decides who may what. */
export interface Access {
  /** Returns who sent the request. @throws {AccessRefusal} for credentials that do not hold */
  authenticate(credentials: Credentials): Promise<Grant>;
  /**
   * Returns the value of `WWW-Authenticate` for a request that needs credentials; undefined where none
   * would help. `origin` is the server's, as the client names it; `scope` as of a registry's token.
   */
  challenge(origin: string, scope?: string): string | undefined;
  /** Returns a token for a grant of this access; undefined for one that may not have it. */
  sessionToken(grant: Grant): SessionToken | undefined;
}

const everything: Grant = { actor: undefined, isLoggedIn: true, hasRights: true, mayNameActor: true, may: () => true };
const nothing: Grant = { actor: undefined, isLoggedIn: false, hasRights: false, mayNameActor: false, may: () => false };

/** Everything for clients of this machine and for calls of `fetch`; nothing for others. */
export const localAccess: Access = {
  async authenticate({ connection }) {
    return connection === undefined || connection.kind === 'unix' || connection.isLoopback ? everything : nothing;
  },
  challenge: () => undefined,
  sessionToken: () => undefined,
};

const answers = {
  /** Not the form of credentials. */
  malformed: [400, 'REQUEST_INVALID'],
  /** Credentials that prove nothing. */
  unproved: [401, 'UNAUTHORIZED'],
  /** Credentials that must not be used here. */
  denied: [403, 'DENIED'],
  'too many': [429, 'TOOMANYREQUESTS'],
  /** Cannot be decided now. */
  undecided: [503, 'UNAVAILABLE'],
} as const satisfies Record<string, readonly [status: number, code: HttpCode]>;

/** Credentials that were refused. The message is for the client, the reason for the access log. */
export class AccessRefusal extends Error {
  override readonly name = 'AccessRefusal';
  readonly status: number;
  readonly code: HttpCode;
  readonly reason: string;
  /** Name given with the credentials. */
  readonly user: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    answer: keyof typeof answers,
    message: string,
    { reason = message, user, retryAfterSeconds }: RefusalFacts = {},
  ) {
    super(message);
    [this.status, this.code] = answers[answer];
    this.reason = reason;
    this.user = user;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The answer to a request that is refused, and what the access log has of it. */
interface Refused {
  readonly failure: HttpFailure;
  readonly facts: Pick<Refusal, 'status' | 'reason' | 'user'>;
}

/** Refuses credentials; `challenge` says how to log in. */
export function refuseCredentials(refusal: AccessRefusal, challenge: string | undefined): Refused {
  const { status, code, message, reason, user, retryAfterSeconds } = refusal;
  const headers = {
    ...(status === 401 && challenge !== undefined ? { 'www-authenticate': challenge } : {}),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  };
  return { failure: new HttpFailure(status, code, message, { headers }), facts: { status, reason, user } };
}

/** Refuses a client that may not do `what`: it has to log in where it has not, else it is denied. */
export function refuseAction({ actor, isLoggedIn }: Grant, what: string, challenge: string | undefined): Refused {
  if (isLoggedIn || challenge === undefined) {
    const reason = `may not ${what}`;
    const user = isLoggedIn ? actor : undefined;
    return { failure: new HttpFailure(403, 'DENIED', reason), facts: { status: 403, reason, user } };
  }
  const headers = { 'www-authenticate': challenge };
  return {
    failure: new HttpFailure(401, 'UNAUTHORIZED', `log in to ${what}`, { headers }),
    facts: { status: 401, reason: `no credentials to ${what}`, user: undefined },
  };
}

interface RefusalFacts {
  /** Default: the message. */
  readonly reason?: string;
  readonly user?: string | undefined;
  readonly retryAfterSeconds?: number;
}
