import { isStoreError } from '../../errors.js';
import { canonicalReference, familiarReference } from '../../model/reference.js';
import { HttpFailure } from '../failure.js';
import type { RefusalBody } from '../service/connections.js';

/* Refusals in the words of Docker's daemon, which its clients search. */

/** Returns the body of every answer that reports a failure. */
export const dockerRefusal: RefusalBody = (_, message) => `${JSON.stringify({ message })}\n`;

/** Returns the answer for what is no route, with the right method or another. */
export function pageNotFound(): HttpFailure {
  return new HttpFailure(404, 'PATH_UNKNOWN', 'page not found');
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
