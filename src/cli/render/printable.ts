// Control characters, marks that change the direction of text or take no place, separators that end
// a line, halves of surrogate pairs: all that can make a terminal show something else than what is there.
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

/**
 * Returns `text` with every character that a terminal would obey rather than
 * show written as `\u001b`. What came from an archive or from the log passes
 * through here before a person sees it.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/** Whether a terminal shows every character of `text` as it is. Line feeds and tabs count as shown. */
export function isPrintable(text: string): boolean {
  return text.replace(/[\n\t]/g, '').search(UNPRINTABLE) === -1;
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
