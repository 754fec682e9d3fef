import type { Digest, ImageId } from '../model/digest.js';
import { pointed, type SummaryFormat } from '../model/event-facts.js';
import type { StoredEvent } from '../model/events.js';
import { subjectsOf } from '../model/subjects.js';
import { isPrintable, shortId, sizeText, utcText } from './render/text.js';
import { familiarReference } from '../model/reference.js';

type EventObject = Readonly<Record<string, unknown>>;

/**
 * Returns an event as a JSON object: `seq, time, type, actor, reason, requestId, transaction`,
 * `clock` if the clock was behind, then its own fields if set. Of the common fields only reason and requestId can be null. Metadata
 * values are text if printable UTF-8, else base64 with `valueEncoding: "base64"`.
 */
export function eventObject(event: StoredEvent): EventObject {
  const { seq, time, clock, type, actor, reason, requestId, transaction } = event;
  return {
    seq,
    time: utcText(time),
    type,
    actor,
    reason: reason ?? null,
    requestId: requestId ?? null,
    transaction,
    ...(clock === undefined ? {} : { clock: utcText(clock) }),
    ...ownFields(event),
  };
}

function ownFields(event: StoredEvent): EventObject {
  const { seq, time, clock, type, actor, reason, requestId, transaction, ...own } = event;
  return 'value' in own ? { ...own, ...metadataFields(own.value) } : own;
}

/** Returns a metadata value as `value`, plus `valueEncoding` if it is not text. */
export function metadataFields(value: Uint8Array): EventObject {
  const text = metadataText(value);
  if (text !== undefined) return { value: text };
  return { value: Buffer.from(value).toString('base64'), valueEncoding: 'base64' };
}

/** Decodes a metadata value; undefined unless it is printable UTF-8. */
export function metadataText(value: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
    return isPrintable(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** How tables show what an event names; texts are not yet escaped by `printable`. */
export const summaryFormat: SummaryFormat = {
  id: shortId,
  bytes: sizeText,
  reference: familiarReference,
  value: (bytes) => metadataText(bytes) ?? sizeText(bytes.length),
};

/** The same with whole digests, for `--no-trunc`. */
export const wholeFormat: SummaryFormat = { ...summaryFormat, id: (digest) => digest };

/** Returns what a reference points at: an image, or an artifact. */
export function pointedText(image: ImageId | undefined, target: Digest | undefined): string {
  return pointed(image, target, summaryFormat);
}

// The maximum seq, 2^53 - 1, has 16 digits.
const SEQUENCE_DIGITS = 16;

/**
 * Returns an event in CloudEvents 1.0.2 JSON, structured mode. `source` plus `id` is unique;
 * `sequence` (Sequence extension) sorts as text. No `sequencetype`: the only one, Integer, ends at
 * 2^31 - 1. Actor and reason go in `data`, since attributes restrict characters.
 */
export function cloudEvent(event: StoredEvent, storeId: string): EventObject {
  const { seq, time, type, ...data } = eventObject(event);
  return {
    specversion: '1.0',
    id: `${storeId}/${seq}`,
    source: `/imagelog/${encodeURIComponent(storeId)}`,
    type: `dev.imagelog.${event.type}`,
    time: utcText(event.time),
    subject: mainSubject(event),
    sequence: String(event.seq).padStart(SEQUENCE_DIGITS, '0'),
    datacontenttype: 'application/json',
    data,
  };
}

/** Returns the reference, image or chain of layers that an event changes. */
function mainSubject(event: StoredEvent): string | undefined {
  const { references, images, chains } = subjectsOf(event);
  return references[0] ?? images[0] ?? chains[0];
}
