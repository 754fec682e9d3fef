import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { StoreError } from '../errors.js';
import { MAX_ACTOR_BYTES, MAX_AGENT_BYTES, MAX_TRACEPARENT_BYTES } from '../limits.js';
import { ofLength } from '../model/bytes.js';
import { hostOf, isLoopback } from '../model/http.js';
import type { WriteOptions } from '../store/store.js';
import {
  AccessRefusal,
  type Action,
  type Connection,
  type Grant,
  type Refusal,
  refuseAction,
  refuseCredentials,
} from './access/access.js';
import type { HttpFailure } from './failure.js';
import { type NextBuffer, twoBuffers } from '../store/files/write-durably.js';
import { boundPath } from './service/socket.js';
import type { TrustedProxies } from './service/addresses.js';
import type { Service } from './service.js';

/** Who sent a request, and what its events record of it. */
export interface Caller {
  readonly grant: Grant;
  /** Actor of its events; undefined for the store's own. */
  readonly actor: string | undefined;
  readonly address: string | undefined;
  readonly agent: string | undefined;
  /** `X-Request-ID` of the request, else one of ours: for the access log. */
  readonly requestId: string;
  /** `X-Request-ID` of the request. Events record no other: one of ours looks like the id of an image. */
  readonly sentRequestId: string | undefined;
  readonly traceparent: string | undefined;
}

/** The environment of the routes, as hono has it. */
export interface ServerEnv {
  /** Those of node:http; absent where a program calls `fetch`. */
  readonly Bindings: { readonly incoming?: IncomingMessage; readonly outgoing?: ServerResponse };
  readonly Variables: {
    caller: Caller;
    /** Its pattern, where the path alone does not have it: for metrics. */
    route?: string;
    /** Minor version of Docker's Engine API that the client speaks. */
    apiMinor?: number;
    /** Why the request was refused. */
    refusal?: Pick<Refusal, 'reason' | 'user'>;
  };
}

type Exchange = Context<ServerEnv>;

/** Returns the connection of a request, before trusted proxies; undefined where a program calls `fetch`. */
function connectionOf(c: Exchange, proxies: TrustedProxies): Connection | undefined {
  // Hono has no bindings at all where `fetch` was called with none.
  const incoming = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.incoming;
  return incoming === undefined ? undefined : connectionOfRequest(incoming, proxies);
}

/** What Node keeps of a socket beside what its types say. */
interface SocketParts {
  readonly server?: Server | undefined;
  /** Null once the socket is closed. */
  readonly _handle?: { readonly fd?: number } | null;
}

const unixSockets = new WeakSet<Socket>();

/** A closed socket has no address, of any kind: only an open one shows that it is no TCP socket. */
function isUnix(socket: Socket & SocketParts): boolean {
  if (socket._handle?.constructor.name === 'Pipe') unixSockets.add(socket);
  return unixSockets.has(socket);
}

/** Returns the connection of a request of node:http. */
export function connectionOfRequest({ socket, headers }: IncomingMessage, proxies: TrustedProxies): Connection {
  const peer = socket.remoteAddress ?? '';
  const forwarded = {
    for: headerText(headers['x-forwarded-for']),
    proto: headerText(headers['x-forwarded-proto']),
    forwarded: headers.forwarded,
  };
  const client = proxies.clientOf(peer, forwarded);
  if (client !== undefined) return { kind: 'tcp', ...client, isLoopback: false, ...NO_SOCKET };
  const tls = 'getPeerCertificate' in socket ? (socket as Socket as TLSSocket) : undefined;
  const { server } = socket as Socket & SocketParts;
  // What a proxy of this machine passes on comes from anywhere.
  const isForwarded = Object.values(forwarded).some((value) => value !== undefined);
  return {
    kind: isUnix(socket) && !isForwarded ? 'unix' : 'tcp',
    address: peer,
    // A page of the web may have a name that leads here, which its browser then sends.
    isLoopback:
      isLoopback(peer) &&
      !isForwarded &&
      isLoopback(hostOf((headers.host ?? '').toLowerCase())) &&
      isOwnPage(headers.origin),
    isEncrypted: tls !== undefined,
    certificate: tls?.authorized === true ? tls.getPeerCertificate() : undefined,
    // Asked for where a peer's user id matters alone: it takes a call of the system.
    get socketPath() {
      return server === undefined ? undefined : boundPath(server);
    },
    get descriptor() {
      return (socket as Socket & SocketParts)._handle?.fd;
    },
  };
}

const NO_SOCKET = { certificate: undefined, socketPath: undefined, descriptor: undefined } as const;

export function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

/** A page of any site may have its browser send simple requests here, such as a POST. */
function isOwnPage(origin: string | undefined): boolean {
  return origin === undefined || (URL.canParse(origin) && isLoopback(hostOf(new URL(origin).host)));
}

/** Authenticates the request. @throws {HttpFailure} UNAUTHORIZED, DENIED, TOOMANYREQUESTS, UNAVAILABLE, REQUEST_INVALID */
export async function callerOf(c: Exchange, service: Service): Promise<Caller> {
  const connection = connectionOf(c, service.proxies);
  const grant = await grantOf(c, service, connection);
  const sentRequestId = fitting(c.req.header('x-request-id'), MAX_ACTOR_BYTES);
  return {
    grant,
    actor: actorOf(grant, connection),
    address: connection?.address,
    agent: fitting(c.req.header('user-agent'), MAX_AGENT_BYTES),
    // Node makes these many at once, where few random bytes cost a call of the system.
    requestId: sentRequestId ?? randomUUID().slice(-12),
    sentRequestId,
    traceparent: fitting(c.req.header('traceparent'), MAX_TRACEPARENT_BYTES),
  };
}

const ANONYMOUS = 'anonymous';

/**
 * Whom events record: what nobody proved is not put down to the user who runs the server. That one
 * stands for a Unix socket and for calls of `fetch` where no rules say who may what.
 */
function actorOf({ actor, mayNameActor }: Grant, connection: Connection | undefined): string | undefined {
  if (actor !== undefined) return actor;
  return mayNameActor && connection?.kind !== 'tcp' ? undefined : ANONYMOUS;
}

/** A header that events record, cut to what they take: what a client says of itself refuses no push. */
export function fitting(text: string | undefined, maxBytes: number): string | undefined {
  if (text === undefined || text === '') return undefined;
  // Node gives the bytes of a header as Latin-1: each takes at most two in UTF-8.
  return Buffer.byteLength(text) <= maxBytes ? text : text.slice(0, maxBytes / 2);
}

async function grantOf(c: Exchange, service: Service, connection: Connection | undefined): Promise<Grant> {
  try {
    return await service.access.authenticate({ authorization: authorizationOf(c), connection });
  } catch (error) {
    if (!(error instanceof AccessRefusal)) throw error;
    const { failure, facts } = refuseCredentials(error, challengeOf(c, service));
    report(c, service, facts);
    throw failure;
  }
}

function authorizationOf(c: Exchange): string[] {
  const incoming = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.incoming;
  if (incoming !== undefined) return authorizationIn(incoming);
  const value = c.req.header('authorization');
  return value === undefined ? [] : [value];
}

/** Each header Authorization: Node's own list drops all but the first. */
export function authorizationIn({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'authorization');
}

/** @throws {HttpFailure} UNAUTHORIZED unless logged in, else DENIED */
export function requireAction(c: Exchange, service: Service, action: Action, repository?: string): void {
  if (c.get('caller').grant.may(action, repository)) return;
  const what = `${action}${repository === undefined ? '' : ` in ${repository}`}`;
  throw refuse(c, service, what, scopeOf(action, repository));
}

/**
 * Requires credentials, those for anyone's reading too, where the server has logins: clients learn
 * from the first answer how to log in. @throws {HttpFailure} UNAUTHORIZED, DENIED
 */
export function requireCredentials(c: Exchange, service: Service): void {
  const { hasRights, isLoggedIn } = c.get('caller').grant;
  const isShown = isLoggedIn || authorizationOf(c).length > 0;
  if (hasRights && (isShown || challengeOf(c, service) === undefined)) return;
  throw refuse(c, service, 'use this server');
}

/** Returns the answer to a request that may not do `what`, and reports it: log in, or denied. */
export function refuse(c: Exchange, service: Service, what: string, scope?: string): HttpFailure {
  const { failure, facts } = refuseAction(c.get('caller').grant, what, challengeOf(c, service, scope));
  report(c, service, facts);
  return failure;
}

function challengeOf(c: Exchange, service: Service, scope?: string): string | undefined {
  return service.access.challenge(originOf(c, service), scope);
}

/** The server as the client reaches it: a trusted proxy may take TLS off its requests. */
function originOf(c: Exchange, { proxies }: Service): string {
  const { origin } = new URL(c.req.url);
  return connectionOf(c, proxies)?.isEncrypted === true ? origin.replace(/^http:/, 'https:') : origin;
}

/** What clients ask a token for; names of repositories have no character that ends a quoted text. */
function scopeOf(action: Action, repository: string | undefined): string | undefined {
  if (repository === undefined) return undefined;
  const words: Record<Action, string> = { read: 'pull', push: 'pull,push', delete: 'delete', admin: '*' };
  return `repository:${repository.replace(/^docker\.io\//, '')}:${words[action]}`;
}

function report(c: Exchange, service: Service, facts: Pick<Refusal, 'status' | 'reason' | 'user'>): void {
  c.set('refusal', facts);
  service.onRefusal({
    time: Date.now(),
    address: connectionOf(c, service.proxies)?.address,
    path: c.req.path,
    ...facts,
  });
}

/** Returns what the events of a write record of the request. `via` says which interface it came by. */
export function callerOrigin(c: Exchange, via: string): WriteOptions {
  const { actor, sentRequestId: requestId, address, agent, traceparent } = c.get('caller');
  // A Unix socket has no address.
  return { actor, requestId, via, address: address === '' ? undefined : address, agent, traceparent };
}

/** Returns the path of a request as it was sent, without its query; resolved where a program calls `fetch`. */
export function sentPath(c: Exchange): string {
  const incoming = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.incoming;
  // A proxy's request has the whole URL.
  return (incoming?.url ?? c.req.url).replace(/^[a-z]+:\/\/[^/?#]*/i, '').replace(/[?#].*$/, '');
}

/**
 * Whether a client has what an entity tag stands for: `If-None-Match` lists it, by weak comparison,
 * or is `*` (RFC 9110, 13.1.2). The answer to its GET or HEAD is 304 then.
 */
export function isUnchanged(c: Exchange, etag: string): boolean {
  const header = c.req.header('if-none-match')?.trim() ?? '';
  return header === '*' || [...header.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, tag]) => tag === etag);
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

/** Chunks that are read into buffers which come round again. */
export type LentChunks = (nextBuffer: NextBuffer) => AsyncIterable<Uint8Array>;

/** What an answer is sent with. */
interface Sending extends AnswerHead {
  /** Told of what cuts an answer that has begun, other than its client. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Answers with chunks that are read into two buffers in turn, one of which leaves while the other is
 * filled: new memory for each costs as much as the bytes. Undefined where a program calls `fetch`.
 * Rejects with what the first chunk fails with, before anything is answered.
 */
export function lent(c: Exchange, sending: Sending, chunks: LentChunks): Promise<Response> | undefined {
  const outgoing = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.outgoing;
  return outgoing === undefined ? undefined : sendLent(outgoing, sending, chunks);
}

/** Up to here bytes have buffers of their own size. */
const SMALL_BYTES = 64 * 1024;
/** Pairs of 2 MiB that wait for the next answer. */
const KEPT_PAIRS = 8;

/** Two buffers for one answer, in turn. */
interface BufferPair {
  readonly next: NextBuffer;
  readonly isKept: boolean;
}

const kept: BufferPair[] = [];

/** Returns buffers for an answer of `size` bytes that nobody else uses. */
function borrowBuffers(size: number): BufferPair {
  if (size <= SMALL_BYTES) return { next: () => new Uint8Array(size), isKept: false };
  return kept.pop() ?? { next: twoBuffers(), isKept: true };
}

/** Takes back buffers of which no chunk is still in use. */
function giveBack(pair: BufferPair): void {
  if (pair.isKept && kept.length < KEPT_PAIRS) kept.push(pair);
}

async function sendLent(outgoing: ServerResponse, sending: Sending, chunks: LentChunks): Promise<Response> {
  const buffers = borrowBuffers(Number(sending.headers['content-length']));
  const iterator = whole(chunks(buffers.next), sending)[Symbol.asyncIterator]();
  const first = await iterator.next();
  outgoing.writeHead(sending.status, sending.headers);
  try {
    await sendAll(outgoing, first, iterator);
    giveBack(buffers);
  } catch (error) {
    cutOff(outgoing, error, sending);
    // The buffers may still be in use.
    await iterator.return?.().catch(() => undefined);
  }
  return RESPONSE_ALREADY_SENT;
}

async function sendAll(
  outgoing: ServerResponse,
  first: IteratorResult<Uint8Array>,
  iterator: AsyncIterator<Uint8Array>,
): Promise<void> {
  const cut = new Promise<never>((_, reject) => outgoing.once('close', () => reject(new Error('cut'))));
  cut.catch(() => undefined);
  let sending: Promise<void> | undefined;
  for (let next = first; next.done !== true; next = await iterator.next()) {
    await sending;
    sending = Promise.race([sent(outgoing, next.value), cut]);
    // The loop hears of it at its next chunk.
    sending.catch(() => undefined);
  }
  await sending;
  outgoing.end();
}

/**
 * Passes a body on, and fails where it has another length than was announced: its reader would wait
 * for the rest, or take it for the next answer.
 */
function whole(chunks: AsyncIterable<Uint8Array>, { headers }: AnswerHead): AsyncIterable<Uint8Array> {
  return ofLength(chunks, Number(headers['content-length']), () => {
    const digest = headers['docker-content-digest'];
    const message = `the blob ${digest} changed while it was sent: \`verify\` says what is damaged`;
    return new StoreError('BLOB_CORRUPT', message);
  });
}

/** Cuts the connection of an answer whose body failed: its length was announced. */
function cutOff(outgoing: ServerResponse, error: unknown, { onFailure }: Pick<Sending, 'onFailure'>): void {
  // A client that left is no failure of ours.
  if (!outgoing.destroyed) onFailure(error);
  outgoing.destroy();
}

function sent(outgoing: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    outgoing.write(chunk, (error) => (error == null ? resolve() : reject(error)));
  });
}

/**
 * Answers with a stream, which it owns: into node:http itself, or as a Web stream. Rejects with what
 * the stream fails with before its first bytes.
 */
export async function streamed(c: Exchange, sending: Sending, source: Readable): Promise<Response> {
  const { status, headers, onFailure } = sending;
  const hasLength = 'content-length' in headers;
  const body = hasLength ? Readable.from(whole(source, sending), { objectMode: false }) : source;
  const outgoing = (c.env as Partial<ServerEnv['Bindings']> | undefined)?.outgoing;
  if (outgoing === undefined) {
    return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { status, headers });
  }
  if (!(await hasBegun(body, outgoing))) return RESPONSE_ALREADY_SENT;
  outgoing.writeHead(status, headers);
  // A client that left is no failure of ours.
  body.once('error', (error) => {
    if (!outgoing.destroyed) onFailure(error);
  });
  await pipeline(body, outgoing).catch(() => outgoing.destroy());
  return RESPONSE_ALREADY_SENT;
}

/** Resolves with true once the first bytes are there, with false when the client left; rejects with the stream's error. */
async function hasBegun(body: Readable, outgoing: ServerResponse): Promise<boolean> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  outgoing.once('close', leave);
  if (outgoing.destroyed) leave();
  try {
    if (body.errored !== null) throw body.errored;
    await once(body, 'readable', { signal: gone.signal });
    return true;
  } catch (error) {
    body.destroy();
    if (gone.signal.aborted) return false;
    throw error;
  } finally {
    outgoing.off('close', leave);
  }
}
