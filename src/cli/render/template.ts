import { printable } from '../../model/texts.js';
import { jsonText } from './text.js';

/*
 * The part of Go's templates that lists use: `{{.Field}}`, a few functions of one field, and
 * `{{json .}}`. Names and escapes are those of `docker --format`.
 */

const FUNCTIONS = ['json', 'lower', 'upper', 'truncate'] as const;

/** A piece of a template over fields named `Name`. */
export type Piece<Name extends string> =
  | { readonly literal: string }
  | { readonly field: Name; readonly apply?: (typeof FUNCTIONS)[number] | undefined; readonly length?: number }
  /** Every field, as a JSON object. */
  | { readonly all: true };

/** The template is not one; the message is one sentence. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

const ACTION = /\{\{(.*?)\}\}/gs;
const WORDS = /^(?:([a-z]+)\s+)?\.([A-Za-z]*)(?:\s+(\d{1,4}))?$/;

/**
 * Parses a template. `\t` and `\n` in its text are a tab and a line feed.
 * @throws {TemplateError} for an action that is not understood, or an unknown field
 */
export function parseTemplate<Name extends string>(text: string, fields: readonly Name[]): Piece<Name>[] {
  const pieces: Piece<Name>[] = [];
  let end = 0;
  for (const match of text.matchAll(ACTION)) {
    for (const piece of literal(text.slice(end, match.index))) pieces.push(piece);
    pieces.push(action((match[1] ?? '').trim(), fields));
    end = match.index + match[0].length;
  }
  return [...pieces, ...literal(text.slice(end))];
}

function literal(text: string): { readonly literal: string }[] {
  if (text.includes('{{')) throw new TemplateError('a {{ has no }}');
  return text === '' ? [] : [{ literal: text.replaceAll('\\t', '\t').replaceAll('\\n', '\n') }];
}

function action<Name extends string>(text: string, fields: readonly Name[]): Piece<Name> {
  const [isWhole, word, name, digits] = WORDS.exec(text) ?? [];
  const apply = FUNCTIONS.find((each) => each === word);
  const isUnderstood =
    isWhole !== undefined &&
    (word === undefined) === (apply === undefined) &&
    (apply === 'truncate') === (digits !== undefined);
  if (!isUnderstood || (name === '' && apply !== 'json')) {
    throw new TemplateError(
      `{{${text}}} is not understood, only {{.Field}}, {{json .}}, and json, lower, upper or truncate: {{truncate .Field 8}}`,
    );
  }
  if (name === '') return { all: true };
  const field = fields.find((each) => each === name);
  if (field === undefined) throw new TemplateError(`no field ${name}: the fields are ${fields.join(', ')}`);
  return { field, apply, ...(digits === undefined ? {} : { length: Number(digits) }) };
}

/** Returns the template cut at its tabs: the cells of a table. */
export function templateCells<Name extends string>(pieces: readonly Piece<Name>[]): Piece<Name>[][] {
  const cells: Piece<Name>[][] = [[]];
  for (const piece of pieces) {
    if (!('literal' in piece)) {
      cells.at(-1)?.push(piece);
      continue;
    }
    for (const [at, part] of piece.literal.split('\t').entries()) {
      if (at > 0) cells.push([]);
      if (part !== '') cells.at(-1)?.push({ literal: part });
    }
  }
  return cells;
}

/** Renders a template; values are escaped for the terminal, the template's own text is not. */
export function renderTemplate<Name extends string>(
  pieces: readonly Piece<Name>[],
  textOf: (field: Name) => string,
  fields: readonly Name[],
): string {
  return pieces
    .map((piece) => {
      if ('literal' in piece) return piece.literal;
      if ('all' in piece) return jsonText(Object.fromEntries([...fields].sort().map((name) => [name, textOf(name)])));
      const value = textOf(piece.field);
      if (piece.apply === 'json') return jsonText(value);
      return printable(applied(value, piece.apply, piece.length));
    })
    .join('');
}

function applied(value: string, apply: 'lower' | 'upper' | 'truncate' | undefined, length = 0): string {
  switch (apply) {
    case 'lower':
      return value.toLowerCase();
    case 'upper':
      return value.toUpperCase();
    case 'truncate':
      return [...value].slice(0, length).join('');
    default:
      return value;
  }
}
