import { metadataText } from './event-json.js';
import type { Digest, ImageId } from '../model/digest.js';
import { pointed, type SummaryFormat } from '../model/event-facts.js';
import { shortId, sizeText } from '../model/texts.js';
import { familiarReference } from '../model/reference.js';

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
