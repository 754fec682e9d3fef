import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Context } from 'hono';
import { DISCARDED_BODY_MS, MAX_DISCARDED_BODY_BYTES } from '../../limits.js';
import type { WriteOptions } from '../../store/store.js';
import type { PastStore } from '../../store/past/audit.js';
import type { Action } from '../access/access.js';
import { bodyOf, callerOrigin, requireAction, type ServerEnv, streamed } from '../exchange.js';
import { answerTo, HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import type { ImageSource } from './image-source.js';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';

/*
 * Docker's Engine API: what each group of routes shares. Shapes of answers are those of the version
 * that a client asked for in the path; without one, of the newest.
 */

/** Minor versions of the API that are answered: 1.12 and so on. skopeo speaks 1.22. */
export const MIN_MINOR = 12;
export const MAX_MINOR = 51;

/** What the routes work on. */
export interface Docker {
  readonly service: Service;
  /** The store at the moment that is served; undefined for the present. */
  readonly past: () => Promise<PastStore | undefined>;
  /** The store, now or then. */
  readonly images: () => Promise<ImageSource>;
}

export type DockerExchange = Context<ServerEnv>;

/** Returns the minor version of the API that the client speaks. */
export function minorOf(c: DockerExchange): number {
  return c.get('apiMinor') ?? MAX_MINOR;
}

/**
 * Answers with JSON. Its type is exactly `application/json`: with a charset, the docker command line
 * copies a stream to its output instead of reading it.
 */
export function json(c: DockerExchange, value: unknown, status: 200 | 201 = 200): Response {
  return c.body(`${JSON.stringify(value)}\n`, status, { 'content-type': 'application/json' });
}

/**
 * Answers with a stream of values, a line each. It has no length: the SDK for Python reads a stream
 * that has one as a single value.
 */
export function jsonLines(c: DockerExchange, { service }: Docker, values: readonly object[]): Promise<Response> {
  const body = Readable.from(values.map(jsonLine), { objectMode: false });
  const { onFailure } = service;
  return streamed(c, { status: 200, headers: { 'content-type': 'application/json' }, onFailure }, body);
}

/** Returns a value of a stream: a client may take two of a line for one. */
function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** Returns the body of a request. What is left of it after a failure stays readable. */
export function uploadOf(c: DockerExchange): AsyncIterable<Uint8Array> {
  const { incoming } = c.env;
  if (incoming === undefined) return bodyOf(c);
  return {
    [Symbol.asyncIterator]: () => incoming.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>,
  };
}

/**
 * Reads what a client still sends of a refused request, up to limits: not every client looks for an
 * answer before it has sent all, and those that do see none once the connection is cut.
 */
export async function discardBody(incoming: IncomingMessage): Promise<void> {
  if (incoming.complete || incoming.destroyed) return;
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), DISCARDED_BODY_MS);
  let read = 0;
  const count = ({ length }: Uint8Array): void => {
    read += length;
    if (read > MAX_DISCARDED_BODY_BYTES) over.abort();
  };
  incoming.on('data', count);
  try {
    await once(incoming, 'end', { signal: over.signal });
  } catch {
    // Over the limits, or the client is gone: it has no use for the answer then.
  } finally {
    clearTimeout(timer);
    incoming.off('data', count).pause();
  }
}

/** Reads a parameter as Docker does: anything but a word for no is yes. */
export function flag(c: DockerExchange, name: string): boolean {
  const value = (c.req.query(name) ?? '').trim().toLowerCase();
  return !['', '0', 'no', 'false', 'none'].includes(value);
}

/** Requires the right to change the store, and that it is the present. @throws {HttpFailure} */
export function requireWrite(c: DockerExchange, { service }: Docker, action: Action): void {
  requireAction(c, service, action);
  if (!service.isReadOnly) return;
  throw new HttpFailure(403, 'DENIED', 'this server shows the store as it was (--at): nothing can be changed here');
}

/** Returns what the events of a write record of the request. */
export function writeOptions(c: DockerExchange): WriteOptions {
  return callerOrigin(c, 'docker');
}

/** Between two lines of progress, and before the first: what fails until then has a status. */
const PROGRESS_MS = 500;

/** Tells how far a work is, in bytes. */
export type Tell = (current: number, total: number | undefined) => void;

/** What is shown of a work. */
interface Shown {
  readonly status: string;
  readonly id: string;
}

/**
 * Answers with what `work` returns, a value a line, and with its progress before if it takes long
 * and `isWanted`. A failure after that is a line too, in both of the forms that clients look for.
 */
export async function withProgress(
  c: DockerExchange,
  docker: Docker,
  { isWanted, status, id }: Shown & { readonly isWanted: boolean },
  work: (tell: Tell) => Promise<readonly object[]>,
): Promise<Response> {
  const { outgoing } = c.env;
  let toldAt = performance.now();
  let hasBegun = false;
  const tell: Tell = (current, total) => {
    const now = performance.now();
    if (!isWanted || outgoing === undefined || now - toldAt < PROGRESS_MS || outgoing.writableNeedDrain) return;
    toldAt = now;
    if (!hasBegun) outgoing.writeHead(200, { 'content-type': 'application/json' });
    hasBegun = true;
    outgoing.write(jsonLine({ status, progressDetail: { current, total }, id }));
  };
  try {
    const values = await work(tell);
    if (!hasBegun) return await jsonLines(c, docker, values);
    outgoing?.end(values.map(jsonLine).join(''));
  } catch (error) {
    if (!hasBegun) throw error;
    const { status: code, body } = answerTo(error);
    if (code === 500 && !(error instanceof HttpFailure)) docker.service.onFailure(error);
    const [{ message }] = body.errors;
    outgoing?.end(jsonLine({ errorDetail: { message }, error: message }));
  }
  return RESPONSE_ALREADY_SENT;
}
