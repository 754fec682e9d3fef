import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What Node keeps of a connection beside what its types say. */
type Connection = Socket & { readonly server?: Server; readonly _httpMessage?: ServerResponse | null };

/** Tokens of `Connection` that belong to an upgrade (RFC 9110, 7.8; RFC 7540, 3.2.1). */
const UPGRADE_TOKENS = ['upgrade', 'http2-settings'];

/**
 * Answers a request as if it asked for no other protocol (RFC 9110, 7.8): Node takes each with the
 * header `Upgrade` from its HTTP server, which gets the connection back with the request at its begin.
 */
export function ignoreUpgrade(request: IncomingMessage, socket: Connection, head: Uint8Array): void {
  const { server, _httpMessage: earlier } = socket;
  // An answer to an earlier request of the connection goes first.
  if (earlier != null) {
    // A client may be gone at any moment; nobody else listens meanwhile.
    socket.once('error', () => socket.destroy());
    earlier.once('close', () => ignoreUpgrade(request, socket, head));
    return;
  }
  // The first listener of a server is HTTP itself.
  const [serve] = server?.listeners('encrypted' in socket ? 'secureConnection' : 'connection') ?? [];
  if (socket.destroyed || serve === undefined) {
    socket.destroy();
    return;
  }
  socket.unshift(Buffer.concat([Buffer.from(headOf(request), 'latin1'), head]));
  serve.call(server, socket);
}

function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    const isConnection = name.toLowerCase() === 'connection';
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${isConnection ? withoutUpgrade(value) : value}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function withoutUpgrade(tokens: string): string {
  return tokens
    .split(',')
    .filter((token) => !UPGRADE_TOKENS.includes(token.trim().toLowerCase()))
    .join(',');
}
