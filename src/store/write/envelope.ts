import { StoreError } from '../../errors.js';
import { MAX_ACTOR_BYTES, MAX_REASON_BYTES } from '../../limits.js';
import type { EventBody, StoredEvent } from '../../model/events.js';
import type { WriteOptions } from '../store.js';

/** Who, why and in which request: the part of an envelope that a caller chooses. */
export interface Origin {
  readonly actor: string;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
}

const utf8 = new TextEncoder();
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Returns what `options` say of a write, with `actor` for who when they do not.
 * @throws {StoreError} ENVELOPE_INVALID when the actor is empty, or a text is too long or no Unicode
 */
export function originOf(options: WriteOptions, actor: string): Origin {
  const origin: Origin = {
    actor: options.actor ?? actor,
    reason: options.reason,
    requestId: options.requestId,
  };
  if (origin.actor === '') throw new StoreError('ENVELOPE_INVALID', 'the actor of a write is empty');
  checkText('actor', origin.actor, MAX_ACTOR_BYTES);
  checkText('reason', origin.reason, MAX_REASON_BYTES);
  checkText('requestId', origin.requestId, MAX_ACTOR_BYTES);
  return origin;
}

function checkText(field: string, text: string | undefined, limit: number): void {
  if (text === undefined) return;
  if (typeof text !== 'string') throw new TypeError(`${field} must be a string`);
  // UTF-8 has no half of a surrogate pair: a replay would read another text than the live event had.
  if (LONE_SURROGATE.test(text)) {
    throw new StoreError('ENVELOPE_INVALID', `the ${field} of a write is no Unicode text`, { data: { field } });
  }
  // UTF-8 has at most three bytes for each unit of a string: most texts need no encoding to be told short.
  if (text.length * 3 <= limit) return;
  const size = utf8.encode(text).length;
  if (size <= limit) return;
  throw new StoreError('ENVELOPE_INVALID', `the ${field} of a write has ${size} bytes, at most ${limit} are allowed`, {
    data: { field, size, limit },
  });
}

/** Returns the events of one transaction that begins at `first`. */
export function stampEvents(
  bodies: readonly EventBody[],
  origin: Origin,
  at: { readonly first: number; readonly time: number },
): StoredEvent[] {
  const transaction = { first: at.first, count: bodies.length };
  return bodies.map((body, index) => ({ seq: at.first + index, time: at.time, transaction, ...origin, ...body }));
}
