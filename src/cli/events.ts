import type { Digest, ImageId } from '../model/digest.js';
import type { ArtifactAdded, ImageCreated, MetadataSet, ReferenceSet, StoredEvent } from '../model/events.js';
import { isPrintable, shortId, sizeText, utcText } from './render/text.js';
import { familiarReference } from '../model/reference.js';

type EventObject = Readonly<Record<string, unknown>>;

/**
 * Returns an event as a JSON object: `seq, time, type, actor, reason, requestId, transaction`, then
 * its own fields if set. Of the common fields only reason and requestId can be null. Metadata
 * values are text if printable UTF-8, else base64 with `valueEncoding: "base64"`.
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

/** Summarizes an event for a table cell. Not yet escaped by `printable`. */
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
      return `${familiarReference(event.reference)} was ${pointedText(event.image, event.target)}`;
    case 'ManifestAdded':
      return `${shortId(event.image)} manifest ${shortId(event.manifest.digest)}`;
    case 'LayerAdded':
    case 'LayerRemoved':
      return `${shortId(event.diffId)} ${sizeText(event.diffSize)}`;
    case 'ContentErased':
      return `${shortId(event.digest)} ${sizeText(event.size)}`;
    case 'ArtifactAdded':
      return artifactAdded(event);
    case 'ArtifactRemoved':
      return shortId(event.artifact.digest);
  }
}

function artifactAdded({ artifact, artifactType, subject }: ArtifactAdded): string {
  const about = subject === undefined ? '' : ` about ${shortId(subject.digest)}`;
  return `${shortId(artifact.digest)} ${artifactType === '' ? artifact.mediaType : artifactType}${about}`;
}

/** Returns what a reference points at: an image, or an artifact. */
export function pointedText(image: ImageId | undefined, target: Digest | undefined): string {
  if (image !== undefined) return shortId(image);
  return target === undefined ? 'nothing' : `artifact ${shortId(target)}`;
}

function imageCreated({ image, os, architecture, variant }: ImageCreated): string {
  const platform = [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
  return platform === '' ? shortId(image) : `${shortId(image)} ${platform}`;
}

function metadataSet({ image, key, value }: MetadataSet): string {
  const text = metadataText(value) ?? sizeText(value.length);
  return `${shortId(image)} ${key} = ${text}`;
}

function referenceSet(event: ReferenceSet): string {
  const { reference, image, previous, platforms, target, previousTarget } = event;
  const many = platforms === undefined || platforms.length < 2 ? '' : ` and ${platforms.length - 1} more`;
  const former = previous ?? previousTarget;
  const isSame = former !== undefined && former === (image ?? target?.digest);
  const formerText = former === undefined ? '' : `, was ${pointedText(previous, previousTarget)}`;
  return `${familiarReference(reference)} → ${pointedText(image, target?.digest)}${many}${isSame ? ', as before' : formerText}`;
}

function was(previous: Parameters<typeof shortId>[0] | undefined): string {
  return previous === undefined ? '' : `, was ${shortId(previous)}`;
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
    case 'ArtifactAdded':
    case 'ArtifactRemoved':
      return event.artifact.digest;
  }
}
