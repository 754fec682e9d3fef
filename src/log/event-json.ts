import { type EventType, routeOf, type StoredEvent } from '../model/events.js';
import { decodeStrictUtf8 } from '../model/record-fields.js';
import { subjectsOf } from '../model/subjects.js';
import { isPrintable, shortId, sizeText } from '../model/texts.js';
import { bytesToBase64 } from './note.js';
import type { Digest, ImageId } from '../model/digest.js';
import { pointed, type SummaryFormat } from '../model/event-facts.js';
import { familiarReference } from '../model/reference.js';

/** An event as a JSON object; schema: `imagelog/schemas/event.json`. */
interface EventJSON {
  readonly seq: number;
  /** RFC 3339 in UTC, with milliseconds; so is `clock`. */
  readonly time: string;
  readonly type: EventType;
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly transaction: { readonly first: number; readonly count: number };
  /** Only if the clock was behind. */
  readonly clock?: string;
  /** From where and how the write came: those that are set. */
  readonly via?: string | undefined;
  readonly address?: string | undefined;
  readonly agent?: string | undefined;
  readonly traceparent?: string | undefined;
  /** The fields of its type, those that are set. */
  readonly [field: string]: unknown;
}

/**
 * Returns an event as a JSON object, as `imagelog log --json` prints it: its common fields, of which
 * only `reason` and `requestId` can be null, then those of its type. A metadata value is text if it
 * is printable UTF-8, else base64 with `valueEncoding: "base64"`.
 */
export function eventToJSON(event: StoredEvent): EventJSON {
  const { seq, time, clock, type, actor, reason, requestId, transaction } = event;
  return {
    seq,
    time: timeText(time),
    type,
    actor,
    reason: reason ?? null,
    requestId: requestId ?? null,
    transaction,
    ...(clock === undefined ? {} : { clock: timeText(clock) }),
    ...routeOf(event),
    ...ownFields(event),
  };
}

function ownFields(event: StoredEvent): Readonly<Record<string, unknown>> {
  const { seq, time, clock, type, actor, reason, requestId, transaction, ...rest } = event;
  const { via, address, agent, traceparent, ...own } = rest;
  return 'value' in own ? { ...own, ...metadataFields(own.value) } : own;
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Returns a metadata value as `value`, plus `valueEncoding` if it is not text. */
export function metadataFields(value: Uint8Array): { readonly value: string; readonly valueEncoding?: 'base64' } {
  const text = metadataText(value);
  return text === undefined ? { value: bytesToBase64(value), valueEncoding: 'base64' } : { value: text };
}

/** Decodes a metadata value; undefined unless it is printable UTF-8. */
export function metadataText(value: Uint8Array): string | undefined {
  const text = decodeStrictUtf8(value);
  return text !== undefined && isPrintable(text) ? text : undefined;
}

// The maximum seq, 2^53 - 1, has 16 digits.
const SEQUENCE_DIGITS = 16;

/** Version, trace id, parent id and flags; only versions after 00 may have more (W3C Trace Context, 3.2). */
const TRACEPARENT = /^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?$/;

/** An event in the JSON format of CloudEvents 1.0.2; schema: `imagelog/schemas/cloudevent.json`. */
interface CloudEvent {
  readonly specversion: '1.0';
  /** Store id and seq. `source` with `id` is unique across all stores. */
  readonly id: string;
  readonly source: string;
  /** `dev.imagelog.` and the type of the event. */
  readonly type: string;
  /** RFC 3339 in UTC, with milliseconds. */
  readonly time: string;
  /** The reference, image or chain that the event changes. */
  readonly subject: string | undefined;
  /** The seq, with leading zeros, so that it sorts as text. */
  readonly sequence: string;
  readonly datacontenttype: 'application/json';
  /** The extension Distributed Tracing: of an event that has one in the form of W3C Trace Context. */
  readonly traceparent?: string;
  /** The event as `eventToJSON` gives it, without seq, time and type. */
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Returns an event in CloudEvents 1.0.2 JSON, structured mode, as `imagelog log --format cloudevents`
 * prints it. `storeId` is that of `store.stats()`. There is no `sequencetype`: the only one, Integer,
 * ends at 2^31 - 1. Actor and reason are in `data`, since attributes restrict characters.
 */
export function eventToCloudEvent(event: StoredEvent, { storeId }: { readonly storeId: string }): CloudEvent {
  const { seq, time, type, ...data } = eventToJSON(event);
  const { traceparent = '' } = event;
  return {
    specversion: '1.0',
    id: `${storeId}/${seq}`,
    source: `/imagelog/${encodeURIComponent(storeId)}`,
    type: `dev.imagelog.${type}`,
    time,
    subject: mainSubject(event),
    sequence: String(seq).padStart(SEQUENCE_DIGITS, '0'),
    datacontenttype: 'application/json',
    ...(TRACEPARENT.test(traceparent) ? { traceparent } : {}),
    data,
  };
}

function mainSubject(event: StoredEvent): string | undefined {
  const { references, images, chains } = subjectsOf(event);
  return references[0] ?? images[0] ?? chains[0];
}

/** How tables show what an event names; texts are not yet escaped by `printable`. */
export const summaryFormat: SummaryFormat = {
  id: shortId,
  bytes: sizeText,
  reference: shortReference,
  value: (bytes) => metadataText(bytes) ?? sizeText(bytes.length),
};

/** The same with whole digests, for `--no-trunc`. */
export const wholeFormat: SummaryFormat = { ...summaryFormat, id: (digest) => digest, reference: familiarReference };

/** A digest in a name is shown as other ids are. */
function shortReference(canonical: string): string {
  const familiar = familiarReference(canonical);
  const at = familiar.indexOf('@');
  return at === -1 ? familiar : `${familiar.slice(0, at)}@${shortId(familiar.slice(at + 1) as Digest)}`;
}

/** Returns what a reference points at: an image, or an artifact. */
export function pointedText(
  image: ImageId | undefined,
  target: Digest | undefined,
  show: SummaryFormat = summaryFormat,
): string {
  return pointed(image, target, show);
}
