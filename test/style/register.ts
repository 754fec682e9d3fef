import ts from 'typescript';
import { type Finding, nodesOf, type Source } from './sources.js';
import type { Text } from './words.js';

/** Where a closed list of names stands. */
export interface Register extends Text {
  readonly names: readonly string[];
}

/** Names of a register that no file of the product but the register uses. */
export function unusedNames(register: Register, sources: readonly Source[]): Finding[] {
  const product = sources.filter(({ path }) => /^(src|projections)\//.test(path) && path !== register.path);
  const used = new Set(product.flatMap(wordsOfCode));
  return missing(register, used, 'is used nowhere in src or projections; use it or drop it');
}

/** Names of a register that no test speaks of. The style tests do not count: they know the names from the register. */
export function untestedNames(register: Register, texts: readonly Text[]): Finding[] {
  const tests = texts.filter(({ path }) => path.startsWith('test/') && !path.startsWith('test/style/'));
  const spoken = new Set(tests.flatMap(({ text }) => text.match(/\b[A-Z][A-Z0-9_]+\b/g) ?? []));
  return missing(register, spoken, 'is named in no test; write the test that meets it');
}

/** Names of a register that no row of a table in `page` explains. */
export function undocumentedNames(register: Register, page: string): Finding[] {
  const rows = page.split('\n').filter((line) => line.trimStart().startsWith('|'));
  const explained = new Set(rows.flatMap((row) => row.match(/\b[A-Z][A-Z0-9_]+\b/g) ?? []));
  return missing(register, explained, 'is in no table of src/ERRORS.md; explain it there');
}

/** Identifiers and string literals: what the code says, its comments left out. */
function wordsOfCode(source: Source): string[] {
  return [...nodesOf(source.tree)].flatMap((node) =>
    ts.isIdentifier(node) || ts.isStringLiteralLike(node) ? [node.text] : [],
  );
}

function missing({ path, text, names }: Register, present: ReadonlySet<string>, message: string): Finding[] {
  const lines = text.split('\n');
  return names
    .filter((name) => !present.has(name))
    .map((name) => ({ path, line: lineOf(lines, name), message: `${name} ${message}` }));
}

function lineOf(lines: readonly string[], name: string): number {
  return lines.findIndex((line) => new RegExp(`\\b${name}\\b`).test(line)) + 1;
}
