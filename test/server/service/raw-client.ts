import { connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** A connection on which a test sends what it likes. */
export interface RawClient {
  readonly socket: Socket;
  /** Resolves with all that came, once the server ended the connection. */
  readonly ended: Promise<string>;
}

/** Connects to a port of this machine, and sends `text`. */
export function rawClient(t: ExecutionContext, port: number, text = ''): RawClient {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // A server that cuts a connection resets it.
  socket.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(Buffer.concat(chunks).toString())));
  socket.write(text);
  return { socket, ended };
}

/** A request without a body. */
export function get(path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n');
}
