import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { WriteOptions } from '../store/store.js';
import type { Action, Connection, Grant } from './access/access.js';
import { HttpFailure } from './failure.js';
import type { Service } from './service.js';

/** Who sent a request, and what its events record of it. */
export interface Caller {
  readonly grant: Grant;
  readonly address: string | undefined;
  readonly agent: string | undefined;
  /** `X-Request-ID` of the request, else one of ours. */
  readonly requestId: string;
  readonly traceparent: string | undefined;
}

/** The environment of the routes, as hono has it. */
export interface ServerEnv {
  /** Those of node:http; absent where a program calls `fetch`. */
  readonly Bindings: { readonly incoming?: IncomingMessage; readonly outgoing?: ServerResponse };
  readonly Variables: { caller: Caller };
}

type Exchange = Context<ServerEnv>;

/** Returns the connection of a request; undefined where a program calls `fetch`. */
export function connectionOf(c: Exchange): Connection | undefined {
  // Hono has no bindings at all where `fetch` was called with none.
  const socket = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.incoming?.socket;
  return socket === undefined ? undefined : connectionOfSocket(socket);
}

/** Returns what a socket of node:http shows of its client. */
export function connectionOfSocket(socket: Socket): Connection {
  const address = socket.remoteAddress ?? '';
  const tls = 'getPeerCertificate' in socket ? (socket as TLSSocket) : undefined;
  return {
    kind: address === '' ? 'unix' : 'tcp',
    address,
    isLoopback: /^(?:::ffff:)?127\.|^::1$/.test(address),
    isEncrypted: tls !== undefined,
    certificate: tls?.authorized === true ? tls.getPeerCertificate() : undefined,
  };
}

/** Authenticates the request. @throws {HttpFailure} UNAUTHORIZED, DENIED, TOOMANYREQUESTS */
export async function callerOf(c: Exchange, { access }: Service): Promise<Caller> {
  const connection = connectionOf(c);
  const grant = await access.authenticate({ authorization: c.req.header('authorization'), connection });
  return {
    grant,
    address: connection?.address,
    agent: c.req.header('user-agent'),
    requestId: c.req.header('x-request-id') ?? randomUUID(),
    traceparent: c.req.header('traceparent'),
  };
}

/** @throws {HttpFailure} UNAUTHORIZED without credentials, DENIED with them */
export function requireAction(c: Exchange, { access }: Service, action: Action, repository?: string): void {
  const { grant } = c.get('caller');
  if (grant.may(action, repository)) return;
  const what = `${action}${repository === undefined ? '' : ` in ${repository}`}`;
  if (access.challenges.length > 0 && c.req.header('authorization') === undefined) {
    const headers = { 'www-authenticate': access.challenges.join(', ') };
    throw new HttpFailure(401, 'UNAUTHORIZED', `log in to ${what}`, { headers });
  }
  throw new HttpFailure(403, 'DENIED', `may not ${what}`);
}

/** Returns what the events of a write record of the request. `via` says which interface it came by. */
export function callerOrigin(c: Exchange, _via: string): WriteOptions {
  const { grant, requestId } = c.get('caller');
  return { actor: grant.actor, requestId };
}

/** Returns the body of a request: of node:http itself, which no Web stream slows down. */
export function bodyOf(c: Exchange): AsyncIterable<Uint8Array> {
  const incoming = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.incoming;
  if (incoming !== undefined) return incoming;
  return c.req.raw.body ?? Readable.from([]);
}

/** Status and headers of a streamed answer. */
interface AnswerHead {
  readonly status: 200 | 206;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers with a stream, which it owns: into node:http itself, or as a Web stream. */
export async function streamed(c: Exchange, { status, headers }: AnswerHead, body: Readable): Promise<Response> {
  const outgoing = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.outgoing;
  if (outgoing === undefined) {
    return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { status, headers });
  }
  outgoing.writeHead(status, headers);
  // The connection is cut when the body fails: its length was announced.
  await pipeline(body, outgoing).catch(() => outgoing.destroy());
  return RESPONSE_ALREADY_SENT;
}
