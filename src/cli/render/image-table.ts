import { createdMs, type ImageFacts } from '../query/image-facts.js';
import type { Colors } from './colors.js';
import { shortId } from './short-id.js';
import { familiarReference } from '../../model/reference.js';
import { sizeText } from './size-text.js';
import { type Column, tableLines } from './table.js';
import { localMinuteText } from './time-text.js';

/** What images are drawn with. */
export interface ImageDrawing {
  readonly colors: Colors;
  /** Columns of the terminal; undefined when lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone?: string | undefined;
}

/** What stands where an image has no reference, or a config no time. */
const NONE = '<none>';
const ERASED = 'erased';

/** Returns a table with a row for each reference that `filter` shows, and one for each image without a reference. */
export function imageTableLines(
  images: readonly ImageFacts[],
  filter: { readonly showsReference: (reference: string) => boolean },
  { colors, width, timeZone }: ImageDrawing,
): string[] {
  const columns: Column[] = [
    { title: 'REFERENCE', shrinksTo: 12 },
    { title: 'IMAGE ID', paint: colors.yellow },
    { title: 'PLATFORM', shrinksTo: 8, goes: 1 },
    { title: 'CREATED', goes: 2 },
    { title: 'SIZE', align: 'right' },
  ];
  const rows = images.flatMap((facts) => {
    const names = facts.references.filter(filter.showsReference).map(familiarReference);
    const others = [
      shortId(facts.id),
      facts.erased ? ERASED : platformText(facts),
      createdText(facts, timeZone),
      imageSizeText(facts),
    ];
    return (names.length === 0 ? [NONE] : names).map((name) => [name, ...others]);
  });
  return tableLines(columns, rows, { width, colors });
}

/** Returns the platform of an image as Docker writes it: `linux/arm64/v8`. */
export function platformText({
  os,
  architecture,
  variant,
}: Pick<ImageFacts, 'os' | 'architecture' | 'variant'>): string {
  return [os, architecture, variant].filter((part) => part !== null && part !== '').join('/');
}

/** Returns the size of an image, or a dash when the store does not know it. */
export function imageSizeText({ size }: Pick<ImageFacts, 'size'>): string {
  return size === null ? '-' : sizeText(size);
}

function createdText(facts: ImageFacts, timeZone: string | undefined): string {
  return facts.created === null ? NONE : localMinuteText(createdMs(facts), timeZone);
}
