import type { ImageCreated, MetadataSet, ReferenceSet, StoredEvent } from '../model/events.js';
import { isPrintable, shortId, sizeText, utcText } from './render/text.js';
import { familiarReference } from '../model/reference.js';

/** An event as `log --json` gives it. */
type EventObject = Readonly<Record<string, unknown>>;

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

/** Returns what an event tells in a few words, for one cell of a table. Not yet made printable. */
export function eventSummary(event: StoredEvent): string {
  switch (event.type) {
    case 'ImageCreated':
      return imageCreated(event);
    case 'ImageDeleted':
      return shortId(event.image);
    case 'ParentSet':
      return `${shortId(event.image)} from ${shortId(event.parent)}${was(event.previous)}`;
    case 'ParentCleared':
      return `${shortId(event.image)} no longer from ${shortId(event.parent)}`;
    case 'MetadataSet':
      return metadataSet(event);
    case 'MetadataCleared':
      return `${shortId(event.image)} ${event.key}`;
    case 'ReferenceSet':
      return referenceSet(event);
    case 'ReferenceRemoved':
      return `${familiarReference(event.reference)} was ${shortId(event.image)}`;
    case 'ManifestAdded':
      return `${shortId(event.image)} manifest ${shortId(event.manifest.digest)}`;
    case 'LayerAdded':
    case 'LayerRemoved':
      return `${shortId(event.diffId)} ${sizeText(event.diffSize)}`;
    case 'ContentErased':
      return `${shortId(event.digest)} ${sizeText(event.size)}`;
  }
}

function imageCreated({ image, os, architecture, variant }: ImageCreated): string {
  const platform = [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
  return platform === '' ? shortId(image) : `${shortId(image)} ${platform}`;
}

function metadataSet({ image, key, value }: MetadataSet): string {
  const text = metadataText(value) ?? sizeText(value.length);
  return `${shortId(image)} ${key} = ${text}`;
}

function referenceSet({ reference, image, previous, platforms }: ReferenceSet): string {
  const many = platforms === undefined || platforms.length < 2 ? '' : ` and ${platforms.length - 1} more`;
  const before = previous === image ? ', as before' : was(previous);
  return `${familiarReference(reference)} → ${shortId(image)}${many}${before}`;
}

function was(previous: Parameters<typeof shortId>[0] | undefined): string {
  return previous === undefined ? '' : `, was ${shortId(previous)}`;
}

// The largest seq, 2^53 - 1, has 16 digits.
const SEQUENCE_DIGITS = 16;

/**
 * Returns an event in the JSON format of CloudEvents 1.0.2, structured mode.
 * `source` and `id` together are unique; `sequence` (the Sequence extension)
 * sorts as text. It has no `sequencetype`: the only one there is, Integer, ends at 2^31 - 1. Who and why are in `data`:
 * attributes may not hold every character.
 */
export function cloudEvent(event: StoredEvent, storeId: string): EventObject {
  const { seq, time, type, ...data } = eventObject(event);
  return {
    specversion: '1.0',
    id: `${storeId}/${seq}`,
    source: `/imagelog/${encodeURIComponent(storeId)}`,
    type: `dev.imagelog.${event.type}`,
    time: utcText(event.time),
    subject: subjectOf(event),
    sequence: String(event.seq).padStart(SEQUENCE_DIGITS, '0'),
    datacontenttype: 'application/json',
    data,
  };
}

function subjectOf(event: StoredEvent): string {
  switch (event.type) {
    case 'ReferenceSet':
    case 'ReferenceRemoved':
      return event.reference;
    case 'LayerAdded':
    case 'LayerRemoved':
      return event.chainId;
    case 'ImageCreated':
    case 'ImageDeleted':
    case 'ParentSet':
    case 'ParentCleared':
    case 'MetadataSet':
    case 'MetadataCleared':
    case 'ManifestAdded':
      return event.image;
    case 'ContentErased':
      return event.digest;
  }
}
