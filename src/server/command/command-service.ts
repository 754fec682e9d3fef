import { setMaxListeners } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  COMMAND_IDLE_MS,
  COMMAND_LEAVE_MS,
  COMMAND_START_MS,
  MAX_ACTOR_BYTES,
  MAX_AGENT_BYTES,
  MAX_COMMANDS_AT_ONCE,
  MAX_TRACEPARENT_BYTES,
} from '../../limits.js';
import { AccessRefusal, type Connection, type Grant, refuseAction, refuseCredentials } from '../access/access.js';
import { authorizationIn, connectionOfRequest, fitting, headerText } from '../exchange.js';
import { answerTo, HttpFailure } from '../failure.js';
import { loggedPath, type RequestReport } from '../service/access-log.js';
import type { Service } from '../service.js';
import {
  COMMAND_PATH,
  COMMAND_PROTOCOL,
  type CommandCall,
  CommandStopped,
  type Frame,
  FrameChannel,
  FrameError,
  fromClient,
  type RunCommand,
} from './frames.js';

/** Takes connections that ask to run commands, and runs them. */
export class CommandService {
  readonly #service: Service;
  readonly #runCommand: RunCommand | undefined;
  readonly #running = new Set<Promise<void>>();
  readonly #connections = new Set<Duplex>();

  /** Without `runCommand` every connection is refused. */
  constructor(service: Service, runCommand: RunCommand | undefined) {
    this.#service = service;
    this.#runCommand = runCommand;
    // Each command waits for it.
    setMaxListeners(0, service.signal);
  }

  /**
   * For the event `upgrade` of a node:http server: runs a command over the connection, or refuses it.
   * Other paths are answered without it.
   */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Uint8Array): void => {
    if (request.url !== COMMAND_PATH && socket instanceof Socket) {
      ignoreUpgrade(request, socket, head);
      return;
    }
    // A client may be gone at any moment.
    socket.on('error', () => undefined);
    this.#connections.add(socket);
    socket.once('close', () => this.#connections.delete(socket));
    const line = lineOf(request, socket);
    const running = this.#take(request, socket, { head, line })
      .catch((error: unknown) => {
        const { status, body } = answerTo(error);
        Object.assign(line.facts, { status, code: body.errors[0].code });
        if (status === 500) this.#service.onFailure(error);
        refuse(socket, error);
      })
      .finally(() => {
        this.#running.delete(running);
        this.#service.onRequest(line.report());
      });
    this.#running.add(running);
  };

  /**
   * Resolves when every command has ended; each is asked to by the signal of the service. After
   * `timeoutMs` its connection is cut: it may wait for a client that reads nothing.
   */
  async close(timeoutMs: number): Promise<void> {
    const cut = (): void => {
      for (const each of this.#connections) each.destroy();
    };
    const timer = setTimeout(cut, timeoutMs);
    try {
      while (this.#running.size > 0) await Promise.all(this.#running);
    } finally {
      clearTimeout(timer);
    }
    cut();
  }

  async #take(
    request: IncomingMessage,
    socket: Duplex,
    { head, line }: { readonly head: Uint8Array; readonly line: LogLine },
  ): Promise<void> {
    const { signal, store } = this.#service;
    const runCommand = this.#runCommand;
    if (request.url !== COMMAND_PATH || runCommand === undefined) {
      throw new HttpFailure(404, 'PATH_UNKNOWN', `no such path: ${request.url}`);
    }
    if (request.headers.upgrade !== COMMAND_PROTOCOL) {
      const headers = { upgrade: COMMAND_PROTOCOL };
      throw new HttpFailure(426, 'UNSUPPORTED', `expected the protocol ${COMMAND_PROTOCOL}`, { headers });
    }
    if (!(socket instanceof Socket)) throw new TypeError('the connection is no socket');
    const connection = connectionOfRequest(request, this.#service.proxies);
    line.facts.address = connection.address;
    const grant = await this.#grantOf(request, connection, line.facts);
    line.facts.actor = grant.actor;
    if (signal.aborted) throw new HttpFailure(503, 'STOPPING', 'the server is stopping');
    if (this.#running.size > MAX_COMMANDS_AT_ONCE) {
      const headers = { 'retry-after': '1' };
      const message = `the server runs ${MAX_COMMANDS_AT_ONCE} commands, which is the most at once`;
      throw new HttpFailure(429, 'TOOMANYREQUESTS', message, { headers });
    }
    const { 'user-agent': agent, 'x-request-id': requestId, traceparent } = request.headers;
    socket.setNoDelay(true);
    // A client whose machine is gone ends; one that waits for a person does not.
    socket.setKeepAlive(true, 30_000);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${COMMAND_PROTOCOL}\r\n\r\n`);
    await this.#run(runCommand, socket, head, {
      store,
      grant,
      connection,
      agent: fitting(agent, MAX_AGENT_BYTES),
      requestId: fitting(headerText(requestId), MAX_ACTOR_BYTES),
      traceparent: fitting(headerText(traceparent), MAX_TRACEPARENT_BYTES),
    });
  }

  /** Authenticates a client, and reports one that may do nothing. @throws {HttpFailure} as other paths do */
  async #grantOf(request: IncomingMessage, connection: Connection, facts: Facts): Promise<Grant> {
    const { access, onRefusal } = this.#service;
    const challenge = access.challenge(`${connection.isEncrypted ? 'https' : 'http'}://${request.headers.host}`);
    const answer = await access.authenticate({ authorization: authorizationIn(request), connection }).then(
      (grant) => (grant.hasRights ? grant : refuseAction(grant, 'run commands', challenge)),
      (error: unknown) => {
        if (error instanceof AccessRefusal) return refuseCredentials(error, challenge);
        throw error;
      },
    );
    if (!('failure' in answer)) return answer;
    const { status, reason, user } = answer.facts;
    Object.assign(facts, { reason, user });
    onRefusal({ time: Date.now(), address: connection.address, path: COMMAND_PATH, status, reason, user });
    throw answer.failure;
  }

  async #run(
    runCommand: RunCommand,
    socket: Socket,
    head: Uint8Array,
    caller: Omit<CommandCall, 'start' | 'channel' | 'frames' | 'signal'>,
  ): Promise<void> {
    const channel = new FrameChannel(socket, head);
    const frames = channel.frames();
    const watch = new ClientWatch(socket);
    try {
      const closing = this.#service.signal;
      const start = await firstFrame(frames, socket, closing);
      if (start === undefined) return void socket.destroy();
      const signal = AbortSignal.any([closing, watch.signal]);
      await runCommand({ ...caller, start, channel, frames, signal });
    } catch (error) {
      // There is no answer to give: the connection ends, and a client of ours says so.
      if (!(error instanceof FrameError)) this.#service.onFailure(error);
    } finally {
      await left(socket, frames);
      watch.end();
    }
  }
}

/**
 * Ends a connection, and resolves once its client has left too: a connection that is closed with
 * bytes of the client unread loses what it has not taken yet, as the exit code.
 */
async function left(socket: Socket, frames: AsyncGenerator<Frame>): Promise<void> {
  if (socket.destroyed) return;
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  let timer: NodeJS.Timeout | undefined;
  socket.end(() => {
    timer = setTimeout(() => void socket.destroy(), COMMAND_LEAVE_MS).unref();
  });
  void unread(frames);
  await closed;
  clearTimeout(timer);
}

/** Drops what a client still sends. */
async function unread(frames: AsyncGenerator<Frame>): Promise<void> {
  try {
    while ((await frames.next()).done !== true);
  } catch {
    // It sends no frames either.
  }
}

/** What the access log has of a command beside its request. */
type Facts = { -readonly [Name in 'address' | 'actor' | 'status' | 'code' | 'reason' | 'user']: RequestReport[Name] };

/** A line of the access log, written when the command has ended. */
interface LogLine {
  readonly facts: Facts;
  readonly report: () => RequestReport;
}

function lineOf({ headers, method = '', url = '' }: IncomingMessage, socket: Duplex): LogLine {
  const [time, startedAt] = [Date.now(), performance.now()];
  const connection = socket instanceof Socket ? socket : undefined;
  const address = connection?.remoteAddress ?? '';
  const facts: Facts = { address, actor: undefined, status: 101, code: undefined, reason: undefined, user: undefined };
  const report = (): RequestReport => ({
    ...facts,
    time,
    method,
    path: loggedPath(`http://server${url}`),
    route: COMMAND_PATH,
    bytesIn: connection?.bytesRead ?? 0,
    bytesOut: connection?.bytesWritten ?? 0,
    durationMs: performance.now() - startedAt,
    isCut: false,
    agent: headers['user-agent'],
    requestId: headerText(headers['x-request-id']),
    traceparent: headerText(headers['traceparent']),
  });
  return { facts, report };
}

/** Returns the first frame; undefined where the client leaves without one, sends another kind or none in time. */
async function firstFrame(
  frames: AsyncGenerator<Frame>,
  socket: Socket,
  closing: AbortSignal,
): Promise<Frame | undefined> {
  const leave = (): void => void socket.destroy();
  const timer = setTimeout(leave, COMMAND_START_MS);
  closing.addEventListener('abort', leave);
  try {
    const { value } = await frames.next();
    return value?.kind === fromClient.start ? value : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    closing.removeEventListener('abort', leave);
  }
}

/** Aborts a command whose client takes none of its output for COMMAND_IDLE_MS, or sends nothing. */
class ClientWatch {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(socket: Socket) {
    const [taken, sent] = [new Idleness(), new Idleness()];
    const look = (): void => {
      // Bytes that have left this process; a client that reads moves it on.
      const untakenMs = taken.ms(socket.writableLength > 0 ? socket.bytesWritten - socket.writableLength : undefined);
      const silentMs = sent.ms(socket.bytesRead);
      if (Math.max(untakenMs, silentMs) < COMMAND_IDLE_MS) return;
      const why = untakenMs >= COMMAND_IDLE_MS ? 'nothing of the output was read' : 'its client sent nothing';
      this.#controller.abort(new CommandStopped(`${why} for too long`));
      socket.destroy();
    };
    this.#timer = setInterval(look, COMMAND_IDLE_MS / 10).unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** How long a count has not moved. */
class Idleness {
  #count: number | undefined;
  #sinceMs = Date.now();

  /** Milliseconds since the count was another; an undefined one is not waited for. */
  ms(count: number | undefined): number {
    if (count === undefined || count !== this.#count) this.#sinceMs = Date.now();
    this.#count = count;
    return Date.now() - this.#sinceMs;
  }
}

/** Answers as other paths do, then ends the connection. */
function refuse(socket: Duplex, error: unknown): void {
  if (!socket.writable) return;
  const { status, headers, body } = answerTo(error);
  const text = JSON.stringify(body);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
  // A client that does not close would keep the connection.
  if (socket instanceof Socket) socket.destroySoon();
  else socket.once('finish', () => socket.destroy());
}

/** What Node keeps of a connection beside what its types say. */
type NodeConnection = Socket & { readonly server?: Server; readonly _httpMessage?: ServerResponse | null };

/** Tokens of `Connection` that belong to an upgrade (RFC 9110, 7.8; RFC 7540, 3.2.1). */
const UPGRADE_TOKENS = ['upgrade', 'http2-settings'];

/**
 * Answers a request as if it asked for no other protocol (RFC 9110, 7.8): Node takes each with the
 * header `Upgrade` from its HTTP server, which gets the connection back with the request at its begin.
 */
function ignoreUpgrade(request: IncomingMessage, socket: NodeConnection, head: Uint8Array): void {
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
