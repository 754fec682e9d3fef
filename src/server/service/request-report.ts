/** What became of a request. Holds no credentials. */
export interface RequestReport {
  /** Milliseconds since the epoch when it came. */
  readonly time: number;
  /** Address of the client, before trusted proxies; empty for a unix socket, undefined for a call of `fetch`. */
  readonly address: string | undefined;
  /** Undefined for one that nobody vouches for. */
  readonly actor: string | undefined;
  readonly method: string;
  /** Path and query; values of the query that no route has are left out. */
  readonly path: string;
  /** Pattern of the route, such as `/health`. */
  readonly route: string;
  /** Of the answer; 0 when the client left before it. */
  readonly status: number;
  /** Bytes on the connection: headers and body. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Whether the answer was cut: the client left, was too slow, or a stream failed. */
  readonly isCut: boolean;
  readonly agent: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  /** Code of the error that was answered. */
  readonly code: string | undefined;
  /** Why it was refused, and the name that was given with a wrong password. */
  readonly reason: string | undefined;
  readonly user: string | undefined;
}
