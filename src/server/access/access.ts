import type { PeerCertificate } from 'node:tls';

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
