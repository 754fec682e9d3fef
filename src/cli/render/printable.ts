/*
 * What a terminal obeys, or shows nothing of: control characters, separators that end a line, halves of surrogate pairs,
 * all that Unicode calls a format or lets a font ignore (zero width, direction, soft hyphen, variation selectors, tags,
 * Hangul fillers …), and the Braille pattern without dots. Two names that look the same would be told apart by nothing else.
 */
const UNSEEN = '[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Cf}\\p{Default_Ignorable_Code_Point}\\u2800]';

/*
 * What some of them are needed for. An emoji of Unicode's list keeps its joiners, tags and selector: with one of them
 * less or more it is another emoji, or none of the list. A joiner after a virama chooses the form of an Indic
 * consonant (RFC 5892, appendix A). A joiner anywhere else is escaped, in Persian too: JavaScript does not tell
 * which letters join, and beside the others it cannot be seen.
 */
const VIRAMAS = '\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca';
const NEEDED = `\\p{RGI_Emoji}|(?<=[${VIRAMAS}])[\\u200c\\u200d](?=\\p{L})`;

const ANY_UNSEEN = new RegExp(UNSEEN, 'v');
/** Made when it is needed first: the list of emoji takes a millisecond. */
let neededOrUnseen: RegExp | undefined;

/**
 * Returns `text` with every character that a terminal would obey rather than
 * show, or that nobody would see, written as `\u001b`. What came from an archive or from the log passes
 * through here before a person sees it.
 */
export function printable(text: string): string {
  if (!ANY_UNSEEN.test(text)) return text;
  neededOrUnseen ??= new RegExp(`(${NEEDED})|${UNSEEN}`, 'gv');
  return text.replace(neededOrUnseen, (characters, needed?: string) => needed ?? escaped(characters));
}

/** Whether a terminal shows every character of `text` as it is. Line feeds and tabs count as shown. */
export function isPrintable(text: string): boolean {
  const shown = text.replace(/[\n\t]/g, '');
  return printable(shown) === shown;
}

/** As JSON escapes it: a character beyond U+FFFF as two. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
