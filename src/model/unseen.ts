/*
 * Characters a terminal obeys or does not show: control characters, line separators, lone
 * surrogates, all Unicode format or default-ignorable characters (zero width, direction, soft
 * hyphen, variation selectors, tags, Hangul fillers …) and the blank Braille pattern. Unescaped,
 * they make different names look the same.
 */
const UNSEEN = '[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Cf}\\p{Default_Ignorable_Code_Point}\\u2800]';

/*
 * Exceptions. Emoji on Unicode's list keep joiners, tags and selector: changing one gives another
 * emoji, or none. A joiner after a virama selects the form of an Indic consonant (RFC 5892,
 * appendix A). Any other joiner is escaped, in Persian too: JavaScript cannot tell which letters
 * join, and elsewhere it is invisible.
 */
const VIRAMAS = '\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca';
const NEEDED = `\\p{RGI_Emoji}|(?<=[${VIRAMAS}])[\\u200c\\u200d](?=\\p{L})`;

/** Most texts, which need no table of Unicode. */
const PLAIN = /^[\x20-\x7e]*$/;

// Compiled on first use: the properties take a millisecond, the list of emoji another.
let anyUnseen: RegExp | undefined;
let neededOrUnseen: RegExp | undefined;

/** Returns `text` with each character that a terminal obeys or hides replaced by what `replace` gives. */
export function replaceUnseen(text: string, replace: (character: string) => string): string {
  if (PLAIN.test(text)) return text;
  anyUnseen ??= new RegExp(UNSEEN, 'v');
  if (!anyUnseen.test(text)) return text;
  neededOrUnseen ??= new RegExp(`(${NEEDED})|${UNSEEN}`, 'gv');
  return text.replace(neededOrUnseen, (characters, needed?: string) => needed ?? replace(characters));
}

/** Returns whether a terminal shows all of `text` as is. Line feeds and tabs are allowed. */
export function isPrintable(text: string): boolean {
  const shown = text.replace(/[\n\t]/g, '');
  return replaceUnseen(shown, () => '') === shown;
}
