import { recordOf } from './credentials.js';
import { discardBody, readBody, type WireResponse } from './transport.js';

/** Characters of a registry's own words in a message. */
const MAX_REASON_LENGTH = 200;
/** An error that is larger is no error of the protocol. */
const MAX_REASON_BYTES = 64 * 1024;

/**
 * Returns the reason in the body of a failure, as one line: the first of the errors that OCI
 * Distribution defines, or what came instead. Discards the body.
 */
export async function reasonOf(response: WireResponse, signal: AbortSignal | undefined): Promise<string> {
  const type = String(response.headers['content-type'] ?? '').toLowerCase();
  if (!type.includes('json')) {
    discardBody(response);
    return type.includes('html') ? 'an HTML page' : '';
  }
  try {
    const bytes = await readBody(response, { what: 'an error', limit: MAX_REASON_BYTES, signal });
    return firstError(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    // Without its reason the failure still has its status.
    return '';
  }
}

function firstError(answer: unknown): string {
  const { errors } = recordOf(answer);
  const { code, message } = recordOf(Array.isArray(errors) ? errors[0] : undefined);
  const words = [code, message].filter((word) => typeof word === 'string' && word !== '');
  return words.join(': ').replace(/\s+/g, ' ').slice(0, MAX_REASON_LENGTH);
}
