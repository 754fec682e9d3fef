import { once } from 'node:events';
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { isStoreError, StoreError, thrownText } from '../../errors.js';
import { MAX_SERVER_ANSWER_BYTES, MAX_SOCKET_PATH_BYTES, SERVER_CONNECT_MS } from '../../limits.js';
import type { ConnectablePath } from '../../server/service/socket.js';
import { COMMAND_PATH, COMMAND_PROTOCOL } from '../../server/command/frames.js';
import type { CliIo } from '../output.js';
import { nonEmpty } from '../settings.js';
import { version } from '../../store/version.js';
import type { Target } from './target.js';

/* The upgrade is written here: node:http takes longer to load than all else that a client needs. */

/** A connection on which frames go both ways. */
export interface Connection {
  readonly socket: Socket;
  /** What came behind the head of the answer. */
  readonly head: Uint8Array;
}

/**
 * Connects to a server that runs commands.
 * @throws {StoreError} SERVER_UNAVAILABLE if it cannot be reached or runs none; SERVER_BUSY,
 *   ACCESS_DENIED as it says
 */
export async function connect(target: Target, env: CliIo['env'], signal: AbortSignal): Promise<Connection> {
  const authorization = authorizationOf(target, env);
  const socket = await open(target, signal);
  try {
    socket.write(requestText(target, authorization));
    const { head, rest } = await answered(socket, target, signal);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    if (status === 101) return { socket, head: rest };
    throw await refusal(target, status, { socket, head, rest });
  } catch (error) {
    socket.destroy();
    throw isStoreError(error) ? error : unavailable(target, error);
  }
}

/** Returns how messages name a server: its URL, or where its socket is. */
export function nameOf({ at }: Target): string {
  if (at.kind === 'unix') return `the server at ${at.path}`;
  return `the server ${at.kind}://${at.hostname}:${at.port}${at.prefix}`;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '::1' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Credentials go over TLS, a unix socket, or do not leave the machine. */
function authorizationOf(target: Target, env: CliIo['env']): string | undefined {
  const { at } = target;
  const token = nonEmpty(env['IMAGELOG_TOKEN']);
  const user = (at.kind === 'unix' ? undefined : at.user) ?? (token?.includes(':') === true ? token : undefined);
  if (user === undefined && token === undefined) return undefined;
  if (at.kind === 'http' && !isLoopback(at.hostname)) {
    throw new StoreError('ACCESS_DENIED', `credentials are not sent to ${nameOf(target)}: anyone could read them`, {
      data: { hint: 'use https://, or leave out the user and $IMAGELOG_TOKEN' },
    });
  }
  return user === undefined ? `Bearer ${token}` : `Basic ${Buffer.from(user).toString('base64')}`;
}

async function open(target: Target, signal: AbortSignal): Promise<Socket> {
  const { at } = target;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), SERVER_CONNECT_MS);
  const timeout = AbortSignal.any([signal, late.signal]);
  let socket: Socket | undefined;
  try {
    if (at.kind === 'https') {
      const { connect: connectTls } = await import('node:tls');
      const secure = connectTls({
        host: at.hostname,
        port: at.port,
        // RFC 6066 has no addresses there.
        ...(isIP(at.hostname) === 0 ? { servername: at.hostname } : {}),
        ALPNProtocols: ['http/1.1'],
      });
      socket = secure;
      await once(secure, 'secureConnect', { signal: timeout });
    } else {
      await using place = at.kind === 'unix' ? await placeOf(at.path) : undefined;
      socket = at.kind === 'unix' ? connectSocket(place?.path ?? at.path) : connectSocket(at.port, at.hostname);
      await once(socket, 'connect', { signal: timeout });
    }
  } catch (error) {
    socket?.destroy();
    if (signal.aborted) throw new StoreError('ABORTED', 'the operation was aborted', { cause: error });
    throw unavailable(target, late.signal.aborted ? silence() : error);
  } finally {
    clearTimeout(timer);
  }
  socket.on('error', () => undefined);
  return socket;
}

/** Most paths fit into the address of a socket; the code for others is not loaded then. */
async function placeOf(path: string): Promise<ConnectablePath | undefined> {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return undefined;
  const { connectablePath } = await import('../../server/service/socket.js');
  return connectablePath(path);
}

function requestText({ at }: Target, authorization: string | undefined): string {
  const host =
    at.kind === 'unix' ? 'localhost' : `${at.hostname.includes(':') ? `[${at.hostname}]` : at.hostname}:${at.port}`;
  const lines = [
    `GET ${at.kind === 'unix' ? '' : at.prefix}${COMMAND_PATH} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    `Upgrade: ${COMMAND_PROTOCOL}`,
    `User-Agent: imagelog/${version()}`,
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

interface Answer {
  /** As it was received, one byte a character. */
  readonly head: string;
  readonly rest: Buffer;
}

/** Reads the head of the answer; a server that says nothing does not keep the command waiting. */
async function answered(socket: Socket, target: Target, signal: AbortSignal): Promise<Answer> {
  const end = (): void => void socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, SERVER_CONNECT_MS);
  try {
    return await readHead(socket, target);
  } catch (error) {
    if (signal.aborted) throw new StoreError('ABORTED', 'the operation was aborted', { cause: error });
    throw isLate ? unavailable(target, silence()) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

function silence(): Error {
  return new Error(`no answer in ${SERVER_CONNECT_MS / 1_000} s`);
}

async function readHead(socket: Socket, target: Target): Promise<Answer> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end >= 0) return { head: bytes.toString('latin1', 0, end), rest: bytes.subarray(end + 4) };
    const chunk = bytes.length > MAX_SERVER_ANSWER_BYTES ? undefined : await nextChunk(socket);
    if (chunk === undefined) throw unavailable(target, new Error('its answer is not that of a server of ours'));
    bytes = Buffer.concat([bytes, chunk]);
  }
}

/** Returns what comes next; undefined at the end. Leaves the socket as it is, unlike its iterator. */
async function nextChunk(socket: Socket): Promise<Buffer | undefined> {
  for (;;) {
    const chunk: unknown = socket.read();
    if (Buffer.isBuffer(chunk)) return chunk;
    if (socket.readableEnded || socket.destroyed) return undefined;
    await nextEvent(socket, ['readable', 'end', 'close']);
  }
}

function nextEvent(socket: Socket, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) socket.off(event, done);
      resolve();
    };
    for (const event of events) socket.on(event, done);
  });
}

async function refusal(
  target: Target,
  status: number,
  answer: Answer & { readonly socket: Socket },
): Promise<StoreError> {
  // Its body may never come.
  answer.socket.setTimeout(SERVER_CONNECT_MS, () => void answer.socket.destroy());
  const message = await messageOf(answer);
  if (status === 401 || status === 403) {
    const data = { hint: 'name a user in --host, or give a token in $IMAGELOG_TOKEN' };
    return new StoreError('ACCESS_DENIED', `${nameOf(target)} refuses: ${message}`, { data });
  }
  if (status === 429 || status === 503) {
    const data = { hint: '`--wait 5m` waits longer' };
    return new StoreError('SERVER_BUSY', `${nameOf(target)} is busy: ${message}`, { data });
  }
  return unavailable(target, new Error(`it runs no commands: ${message}`));
}

/** Returns the message of an error that the server answers with. */
async function messageOf({ head, rest, socket }: Answer & { readonly socket: Socket }): Promise<string> {
  const length = Number(/^content-length: *(\d+)\r?$/im.exec(head)?.[1] ?? 0);
  let bytes = rest;
  while (bytes.length < Math.min(length, MAX_SERVER_ANSWER_BYTES)) {
    const chunk = await nextChunk(socket);
    if (chunk === undefined) break;
    bytes = Buffer.concat([bytes, chunk]);
  }
  try {
    const { errors } = JSON.parse(bytes.toString()) as { readonly errors?: readonly { readonly message?: unknown }[] };
    return String(errors?.[0]?.message);
  } catch {
    return head.split('\r\n', 1)[0] ?? '';
  }
}

function unavailable(target: Target, cause: unknown): StoreError {
  const why = thrownText(cause);
  return new StoreError('SERVER_UNAVAILABLE', `cannot reach ${nameOf(target)}: ${why}`, { cause });
}
