import type { StoredEvent } from '../../model/events.js';
import { utcText } from '../render/time-text.js';
import { type EventObject, eventObject } from './event-json.js';

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
