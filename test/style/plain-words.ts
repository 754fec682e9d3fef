import ts from 'typescript';
import { type Finding, nodesOf, sourceOf } from './sources.js';
import type { Text } from './words.js';

/** Old-fashioned or vague phrases, as patterns in which a space matches a line break too, and what to write instead. */
const phrases: readonly (readonly [pattern: string, plainer: string])[] = [
  ['anew', 'again, from scratch, or rebuild'],
  ['whoever', 'anyone who, or name them'],
  ['whatever', 'any, regardless of, or name it'],
  ['for good', 'permanently'],
  ['(come|comes|came|coming) to', 'is, reaches or gives'],
  ['a (\\w+ )?look', 'a check, a read or a scan'],
  ['(is|are|was|were|be|been) said', 'is reported, or say who reports it'],
  ['(?<!there )(is|are|was|were) none', 'is malformed, absent, or not a …'],
  [
    'of (its|their|our|your) own(?=\\s*[^\\w\\s]|\\s*$| (and|at|for|from|has|in|is|on|that|to|which|with)\\b)',
    'own before the noun',
  ],
  ['(give|gives|gave|given|giving) (\\w+ ){0,2}up', 'abort, release or refuse'],
  ['told to', 'asked to, or name the option'],
  ["of the caller(?!['’])", "the caller's"],
  ['all the same', 'anyway'],
  ['once more', 'again'],
  ['as it were', 'nothing'],
  ['any more(?=\\s*[.,;:)*\'"`])', 'no longer before the verb'],
  ['in silence', 'silently'],
  ['written down', 'recorded or saved'],
  ['under way', 'in progress'],
  ['passed over', 'skipped'],
  ['(go|goes|going|gone|went) on', 'continue'],
  ['told from', 'distinguished from'],
  ['as ever', 'as before'],
  ['on (its|their) way', 'in progress, or say what happens to it'],
  ['for want of', 'for lack of'],
  ['at work', 'running'],
  ['without end', 'forever'],
  ['(moment|store|event|write)s? to come', 'future before the noun'],
  ['(?<!there )(is|are|was|were) no (file|digest|reference|store|snapshot|checkpoint|hash|id|tar|JSON)', 'is not a …'],
  ['thus|hence|thereby|therein|thereof|whereby|wherein|whence|lest|hereby|henceforth', 'so, by that, in it'],
  ['upon|unto|ought|shall|nought', 'on, to, should, must, nothing'],
];

const patterns = phrases.map(([pattern, plainer]) => ({
  pattern: new RegExp(`\\b(?:${pattern.replaceAll(' ', '\\s+')})\\b`, 'gi'),
  plainer,
}));

/** The list and its test have to quote the phrases. */
const quoting: readonly string[] = ['test/style/plain-words.ts', 'test/style/plain-words.test.ts'];

/**
 * Phrases with a plainer form in the prose of a file: all of a document; in code the comments, and the
 * strings of more than one word, which are messages, help and titles of tests.
 */
export function datedPhrases({ path, text }: Text): Finding[] {
  if (quoting.includes(path)) return [];
  const prose = /\.[jt]s$/.test(path) ? proseOf(path, text) : text;
  return patterns
    .flatMap(({ pattern, plainer }) =>
      [...prose.matchAll(pattern)].map(({ 0: found, index }) => ({
        path,
        line: prose.slice(0, index).split('\n').length,
        message: `"${found.replace(/\s+/g, ' ')}" has a plainer form: ${plainer}`,
      })),
    )
    .sort((a, b) => a.line - b.line);
}

/** The text with code masked, so that lines stay and a phrase can pass from one line of a comment to the next. */
function proseOf(path: string, text: string): string {
  const { tree } = sourceOf(path, text);
  let prose = '';
  for (const { pos, end } of ranges(tree, text)) {
    if (pos < prose.length) continue;
    prose += mask(text.slice(prose.length, pos));
    prose += text.slice(pos, end).replace(/^\/[/*]+|(?<=\n)\s*\*/g, (leader) => leader.replace(/\S/g, ' '));
  }
  return prose + mask(text.slice(prose.length));
}

const mask = (code: string): string => code.replace(/\S/g, '\0');

function ranges(tree: ts.SourceFile, text: string): readonly { readonly pos: number; readonly end: number }[] {
  const found: { readonly pos: number; readonly end: number }[] = [];
  for (const node of nodesOf(tree)) {
    found.push(...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []));
    found.push(...(ts.getTrailingCommentRanges(text, node.getEnd()) ?? []));
    if (isText(node) && /\s/.test(node.text)) found.push({ pos: node.getStart(tree), end: node.getEnd() });
  }
  return found.sort((a, b) => a.pos - b.pos);
}

function isText(node: ts.Node): node is ts.LiteralLikeNode {
  return ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node);
}
