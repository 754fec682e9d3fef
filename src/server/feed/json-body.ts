import type { Context } from 'hono';
import { bodyOf, type ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import { requestInvalid } from './feed-query.js';

/** Bodies of the feed are small: a filter and a number. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * Reads a request's JSON object, empty for no body, and refuses fields that it may not have.
 * @throws {HttpFailure} REQUEST_INVALID
 */
export async function jsonBody(c: Context<ServerEnv>, fields: readonly string[]): Promise<Record<string, unknown>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of bodyOf(c)) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new HttpFailure(413, 'REQUEST_INVALID', `the body has more than ${MAX_BODY_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  const body = parsed(Buffer.concat(chunks).toString('utf8'));
  const unknown = Object.keys(body).find((name) => !fields.includes(name));
  if (unknown === undefined) return body;
  throw requestInvalid(`unknown field ${JSON.stringify(unknown.slice(0, 100))}; there are ${fields.join(', ')}`);
}

function parsed(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw requestInvalid('the body is not JSON');
  }
  if (isObject(value)) return value;
  throw requestInvalid('the body must be a JSON object');
}

/** Whether a value of JSON is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns a field that is a seq. @throws {HttpFailure} REQUEST_INVALID */
export function seqField(body: Readonly<Record<string, unknown>>, name: string): number {
  const value = body[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw requestInvalid(`${name} must be a whole number from 0 up`);
}
