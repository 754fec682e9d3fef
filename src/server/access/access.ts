import type { PeerCertificate } from 'node:tls';

/** What a request wants to do. `admin` includes what changes neither images nor references, as upkeep. */
export type Action = 'read' | 'push' | 'delete' | 'admin';

/** What a request shows of who sent it. */
export interface Credentials {
  /** The header `Authorization`. */
  readonly authorization: string | undefined;
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
}

/** Who a request is from, and what it may do. */
export interface Grant {
  /** Actor of its events; undefined for one that nobody vouches for: the store's own. */
  readonly actor: string | undefined;
  /** Whether the actor may be another one, as the command line's `--actor` on the machine itself. */
  readonly mayNameActor: boolean;
  /** Whether it may do `action`, in `repository` where the action is in one. */
  may(action: Action, repository?: string): boolean;
}

/** Decides who may what. */
export interface Access {
  /** Returns who sent the request. @throws {HttpFailure} UNAUTHORIZED, DENIED, TOOMANYREQUESTS */
  authenticate(credentials: Credentials): Promise<Grant>;
  /** Values of `WWW-Authenticate` for a request that needs credentials. */
  readonly challenges: readonly string[];
}

const everything: Grant = { actor: undefined, mayNameActor: true, may: () => true };
const nothing: Grant = { actor: undefined, mayNameActor: false, may: () => false };

/** Everything for clients of this machine and for calls of `fetch`; nothing for others. */
export const localAccess: Access = {
  async authenticate({ connection }) {
    return connection === undefined || connection.kind === 'unix' || connection.isLoopback ? everything : nothing;
  },
  challenges: [],
};
