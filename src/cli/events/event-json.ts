import type { StoredEvent } from '../../model/events.js';
import { isPrintable } from '../render/printable.js';
import { utcText } from '../render/time-text.js';

/** An event as `log --json` gives it. */
export type EventObject = Readonly<Record<string, unknown>>;

/**
 * Returns an event as one JSON object: `seq, time, type, actor, reason,
 * requestId, transaction`, the last three always there (null when absent, but
 * the transaction never is), then the event's own fields, those that it has. The
 * bytes of a metadata value are text when they are printable UTF-8, else
 * base64 with `valueEncoding: "base64"` beside them.
 */
export function eventObject(event: StoredEvent): EventObject {
  const { seq, time, type, actor, reason, requestId, transaction } = event;
  return {
    seq,
    time: utcText(time),
    type,
    actor,
    reason: reason ?? null,
    requestId: requestId ?? null,
    transaction,
    ...ownFields(event),
  };
}

function ownFields(event: StoredEvent): EventObject {
  const { seq, time, type, actor, reason, requestId, transaction, ...own } = event;
  return event.type === 'MetadataSet' ? { ...own, ...metadataFields(event.value) } : own;
}

/** Returns the fields that hold a metadata value: `value`, and `valueEncoding` where it is not text. */
export function metadataFields(value: Uint8Array): EventObject {
  const text = metadataText(value);
  if (text !== undefined) return { value: text };
  return { value: Buffer.from(value).toString('base64'), valueEncoding: 'base64' };
}

/** Returns a metadata value as the text that it is; undefined when it is not printable UTF-8. */
export function metadataText(value: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
    return isPrintable(text) ? text : undefined;
  } catch {
    // Not UTF-8: the caller shows the bytes.
    return undefined;
  }
}
