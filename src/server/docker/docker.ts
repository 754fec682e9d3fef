import type { Context } from 'hono';
import { isStoreError } from '../../errors.js';
import { canonicalReference, familiarReference } from '../../model/reference.js';
import type { WriteOptions } from '../../store/store.js';
import type { Action } from '../access/access.js';
import { callerOrigin, requireAction, type ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import type { ImageSource } from './image-source.js';

/*
 * Docker's Engine API: what each group of routes shares. Shapes of answers are those of the version
 * that a client asked for in the path; without one, of the newest.
 */

/** Minor versions of the API that are answered: 1.24 and so on. */
export const MIN_MINOR = 24;
export const MAX_MINOR = 51;

/** What the routes work on. */
export interface Docker {
  readonly service: Service;
  /** The store, now or at the moment that is served. */
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
  return jsonText(c, `${JSON.stringify(value)}\n`, status);
}

/** The same for text that is JSON. */
export function jsonText(c: DockerExchange, text: string, status: 200 | 201 = 200): Response {
  return c.body(text, status, { 'content-type': 'application/json' });
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

/** Returns the refusal of a request with a wrong parameter. */
export function badRequest(message: string): HttpFailure {
  return new HttpFailure(400, 'REQUEST_INVALID', message);
}

/** Returns the refusal of what imagelog does not do. */
export function notImplemented(what: string): HttpFailure {
  return new HttpFailure(501, 'UNSUPPORTED', `imagelog is a store of images, it does not ${what}`);
}

/** Returns the answer for an unknown image. SDKs know it by its first words. */
export function noSuchImage(name: string): HttpFailure {
  return new HttpFailure(404, 'NAME_UNKNOWN', `No such image: ${withTag(name)}`);
}

function withTag(name: string): string {
  try {
    return familiarReference(canonicalReference(name));
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return name;
    throw error;
  }
}
