import type { Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/** Limits of connections, and of what they send before a request is whole. */
export interface ConnectionLimits {
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Whether the address is a proxy's, which many clients share. */
  readonly isProxy: (address: string) => boolean;
}

/** Seconds after which a refused client may try again. */
const RETRY_AFTER_S = 5;

/** Counts the connections of all servers, in all and by address, and refuses those beyond the limits. */
export class ConnectionCounter {
  readonly #limits: ConnectionLimits;
  readonly #onRefused: (refused: Refused) => void;
  readonly #byAddress = new Map<string, number>();
  #count = 0;

  constructor(limits: ConnectionLimits, onRefused: (refused: Refused) => void) {
    this.#limits = limits;
    this.#onRefused = onRefused;
  }

  get count(): number {
    return this.#count;
  }

  watch(server: Server, bodyOf?: RefusalBody): void {
    const way = { isPlain: !(server instanceof TlsServer), bodyOf };
    server.on('connection', (socket: Socket) => this.#take(socket, way));
  }

  #take(socket: Socket, way: Way): void {
    // Empty for a unix socket, whose clients have the owner's rights.
    const address = socket.remoteAddress ?? '';
    const ofAddress = this.#byAddress.get(address) ?? 0;
    const { maxConnections, maxConnectionsPerAddress, isProxy } = this.#limits;
    const isShared = address === '' || isProxy(address);
    if (this.#count >= maxConnections) this.#refuse(socket, way, 503);
    else if (!isShared && ofAddress >= maxConnectionsPerAddress) this.#refuse(socket, way, 429);
    else this.#admit(socket, address);
  }

  #admit(socket: Socket, address: string): void {
    this.#count++;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    socket.once('close', () => {
      this.#count--;
      const left = (this.#byAddress.get(address) ?? 0) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    });
  }

  #refuse(socket: Socket, { isPlain, bodyOf }: Way, status: 429 | 503): void {
    const [reason, code] =
      status === 429 ? ['Too Many Requests', 'TOOMANYREQUESTS'] : ['Service Unavailable', 'TOO_MANY_CONNECTIONS'];
    this.#onRefused({ address: socket.remoteAddress ?? '', status: isPlain ? status : 0, code });
    // A client of TLS can read nothing before the handshake, which would cost more than the refusal saves.
    if (isPlain) socket.end(rawAnswer(status, reason, code, { bodyOf, headers: [`retry-after: ${RETRY_AFTER_S}`] }));
    socket.destroySoon();
  }
}

/** A connection or a request that was refused before any route could see it. */
export interface Refused {
  readonly address: string;
  /** Of the answer; 0 where there was none. */
  readonly status: number;
  readonly code: string;
}

/** Returns the body of a refusal, as the routes of the same server have it. */
export type RefusalBody = (code: string, message: string) => string;

/** What the refusal of a connection depends on. */
interface Way {
  readonly isPlain: boolean;
  readonly bodyOf: RefusalBody | undefined;
}

/** As the OCI distribution spec has it. */
export const refusalBody: RefusalBody = (code, message) => JSON.stringify({ errors: [{ code, message }] });

/** Returns the bytes of an answer to what is no request yet. */
export function rawAnswer(
  status: number,
  reason: string,
  code: string,
  {
    headers = [],
    bodyOf = refusalBody,
  }: { readonly headers?: readonly string[]; readonly bodyOf?: RefusalBody | undefined } = {},
): string {
  const body = bodyOf(code, reason.toLowerCase());
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...headers,
    '',
    body,
  ].join('\r\n');
}
