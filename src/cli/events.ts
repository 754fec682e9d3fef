import { metadataText } from '../log/event-json.js';
import type { Digest, ImageId } from '../model/digest.js';
import { pointed, type SummaryFormat } from '../model/event-facts.js';
import type { StoredEvent } from '../model/events.js';
import { factsOf } from '../model/event-table.js';
import { shortId, sizeText } from './render/text.js';
import { familiarReference } from '../model/reference.js';

const summaryFormat: SummaryFormat = {
  id: shortId,
  bytes: sizeText,
  reference: familiarReference,
  value: (bytes) => metadataText(bytes) ?? sizeText(bytes.length),
};

/** Returns what a reference points at: an image, or an artifact. */
export function pointedText(image: ImageId | undefined, target: Digest | undefined): string {
  return pointed(image, target, summaryFormat);
}

/** Summarizes an event for a table cell. Not yet escaped by `printable`. */
export function eventSummary(event: StoredEvent): string {
  return factsOf(event).summary(event, summaryFormat);
}
