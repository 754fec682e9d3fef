import { InvalidArgumentError } from 'commander';
import {
  columnNamed,
  exactCell,
  type FieldName,
  fieldNames,
  type FieldRow,
  type FieldStyle,
  imageFields,
} from './image-fields.js';
import { csvRow } from './render/csv.js';
import { type StreamedColumn, streamedTableLines } from './render/table.js';
import { type Colors, jsonText, printable } from './render/text.js';

/** A parsed `images --format`. */
export type ImageFormat =
  | { readonly kind: 'json' }
  /** Without cells, the usual columns. */
  | { readonly kind: 'table'; readonly cells?: readonly TableCell[] }
  | { readonly kind: 'csv'; readonly fields: readonly FieldName[] }
  | { readonly kind: 'lines'; readonly pieces: readonly Piece<FieldName>[] };

/** A cell of a table: a field as tables show it, or a part of a template. */
type TableCell = FieldName | readonly Piece<FieldName>[];

const CSV_FIELDS: readonly FieldName[] = ['Reference', 'ID', 'Digest', 'Platform', 'Created', 'Size'];

/**
 * Parses a format: `json`, `csv`, `table`, columns (`id,reference`), a template (`{{.ID}}`), or the
 * last two after the word `table`, columns after `csv`.
 */
export function imageFormat(text: string): ImageFormat {
  if (text === 'json') return { kind: 'json' };
  if (text === 'table') return { kind: 'table' };
  if (text === 'csv') return { kind: 'csv', fields: CSV_FIELDS };
  const [, word, rest = text] = /^(table|csv)\s+(.+)$/s.exec(text) ?? [];
  try {
    if (word === 'csv') return { kind: 'csv', fields: columns(rest) };
    if (!rest.includes('{{')) return { kind: 'table', cells: columns(rest) };
    const pieces = parseTemplate(rest, fieldNames);
    return word === 'table' ? { kind: 'table', cells: templateCells(pieces) } : { kind: 'lines', pieces };
  } catch (error) {
    if (error instanceof TemplateError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

function columns(text: string): FieldName[] {
  if (text === '') throw new TemplateError('expected columns, as id,reference, or a template, as {{.ID}}');
  return text.split(',').map((each) => {
    const name = columnNamed(each);
    if (name !== undefined) return name;
    throw new TemplateError(`no column ${each.trim()}: the columns are ${fieldNames.map(columnText).join(', ')}`);
  });
}

function columnText(name: FieldName): string {
  return name.toLowerCase();
}

/** Name of a column of CSV: `createdSince`. */
function headerText(name: FieldName): string {
  return name === name.toUpperCase() ? name.toLowerCase() : `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
}

/** How a list is written, and what its columns are at least as wide as. */
export interface ListStyle extends FieldStyle {
  readonly colors: Colors;
  /** Terminal width; undefined if lines may have any length. */
  readonly width: number | undefined;
  readonly showsDigests: boolean;
  /** Columns of the widest reference. */
  readonly referenceWidth: () => number;
}

/** Yields the lines of a list, reading rows as lines are taken. */
export function listLines(
  format: Exclude<ImageFormat, { kind: 'json' }>,
  rows: Iterable<FieldRow>,
  style: ListStyle,
): Iterable<string> {
  switch (format.kind) {
    case 'csv':
      return csvLines(format.fields, rows, style);
    case 'lines':
      return templateLines(format.pieces, rows, style);
    case 'table':
      return tableOf(format.cells ?? usualCells(style), rows, style, format.cells === undefined);
  }
}

function* csvLines(fields: readonly FieldName[], rows: Iterable<FieldRow>, style: FieldStyle): Generator<string> {
  yield csvRow(fields.map(headerText));
  for (const row of rows) yield csvRow(fields.map((name) => exactCell(name, row, style)));
}

function* templateLines(
  pieces: readonly Piece<FieldName>[],
  rows: Iterable<FieldRow>,
  style: FieldStyle,
): Generator<string> {
  for (const row of rows) yield rendered(pieces, row, style);
}

function rendered(pieces: readonly Piece<FieldName>[], row: FieldRow, style: FieldStyle): string {
  return renderTemplate(pieces, (name) => imageFields[name].text(row, style), fieldNames);
}

function usualCells({ showsDigests }: ListStyle): readonly FieldName[] {
  return ['Reference', ...(showsDigests ? ['Digest' as const] : []), 'ID', 'Platform', 'Created', 'Size'];
}

/** Which columns of the usual table a narrow terminal loses, the highest first. */
const GOES: Readonly<Partial<Record<FieldName, number>>> = { Platform: 1, Created: 2 };
const SHRINKS_TO: Readonly<Partial<Record<FieldName, number>>> = {
  Reference: 12,
  Repository: 12,
  Digest: 19,
  Platform: 8,
  Tag: 8,
  Type: 16,
};

function tableOf(
  cells: readonly TableCell[],
  rows: Iterable<FieldRow>,
  style: ListStyle,
  isUsual: boolean,
): Generator<string> {
  const { colors, width } = style;
  return streamedTableLines(
    cells.map((cell) => columnOf(cell, style, isUsual)),
    texts(cells, rows, style),
    { colors, width },
  );
}

function* texts(cells: readonly TableCell[], rows: Iterable<FieldRow>, style: FieldStyle): Generator<string[]> {
  let last: { readonly id: string; readonly cells: readonly string[] } | undefined;
  for (const row of rows) {
    const before = last?.id === row.id ? last.cells : undefined;
    const texts = cells.map((cell, at) => {
      if (typeof cell !== 'string') return rendered(cell, row, style);
      // An image of several names has them in rows below each other: times are dear to format.
      const known = OF_NAME.has(cell) ? undefined : before?.[at];
      const { shown, text } = imageFields[cell];
      return known ?? (shown ?? text)(row, style);
    });
    last = { id: row.id, cells: texts };
    yield texts;
  }
}

/** Fields that differ between the names of an image. */
const OF_NAME: ReadonlySet<FieldName> = new Set(['Repository', 'Tag', 'Digest', 'Reference']);

function columnOf(cell: TableCell, { colors, created, referenceWidth }: ListStyle, isUsual: boolean): StreamedColumn {
  if (typeof cell !== 'string') return { title: titleOf(cell), shrinksTo: 8 };
  const { title, align } = imageFields[cell];
  return {
    title: cell === 'Created' ? created.title : title,
    align,
    shrinksTo: SHRINKS_TO[cell],
    ...(isUsual ? { goes: GOES[cell] } : {}),
    ...(cell === 'ID' || cell === 'Parent' ? { paint: colors.yellow } : {}),
    ...(cell === 'Reference' ? { least: referenceWidth } : {}),
  };
}

// As docker's: the template over the titles.
function titleOf(pieces: readonly Piece<FieldName>[]): string {
  const plain = pieces.map((piece) => ('field' in piece ? { field: piece.field } : piece));
  return renderTemplate(
    plain.filter((piece) => !('all' in piece)),
    (name) => imageFields[name].title,
    fieldNames,
  );
}

/*
 * The part of Go's templates that lists use: `{{.Field}}`, a few functions of one field, and
 * `{{json .}}`. Names and escapes are those of `docker --format`.
 */

const FUNCTIONS = ['json', 'lower', 'upper', 'truncate'] as const;

/** A piece of a template over fields named `Name`. */
type Piece<Name extends string> =
  | { readonly literal: string }
  | { readonly field: Name; readonly apply?: (typeof FUNCTIONS)[number] | undefined; readonly length?: number }
  /** Every field, as a JSON object. */
  | { readonly all: true };

/** The template is not one; the message is one sentence. */
class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

const ACTION = /\{\{(.*?)\}\}/gs;
const WORDS = /^(?:([a-z]+)\s+)?\.([A-Za-z]*)(?:\s+(\d{1,4}))?$/;

/**
 * Parses a template. `\t` and `\n` in its text are a tab and a line feed.
 * @throws {TemplateError} for an action that is not understood, or an unknown field
 */
function parseTemplate<Name extends string>(text: string, fields: readonly Name[]): Piece<Name>[] {
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
function templateCells<Name extends string>(pieces: readonly Piece<Name>[]): Piece<Name>[][] {
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
function renderTemplate<Name extends string>(
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
