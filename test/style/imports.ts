import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../support/fixtures.js';
import { nodesOf, type Source } from './sources.js';

/** One import of a file, of types or of values, `import` or `export … from` or `import()`. */
export interface Import {
  readonly specifier: string;
  readonly node: ts.Node;
  /** Path of the imported file from the project's root; undefined for packages and `node:`. */
  readonly path: string | undefined;
  /** Whether nothing of it is left when the program runs. */
  readonly isType: boolean;
}

/** The files that each name of package.json's `imports` may stand for. */
const conditional = new Map(Object.entries(importsOfPackage()).map(([name, files]) => [name, Object.values(files)]));

/** What `source` imports, in its order. */
export function importsOf(source: Source): Import[] {
  const imports: Import[] = [];
  for (const node of nodesOf(source.tree)) {
    const specifier = specifierOf(node);
    if (specifier === undefined) continue;
    for (const path of resolve(source.path, specifier)) imports.push({ specifier, node, path, isType: isType(node) });
  }
  return imports;
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return textOf(node.moduleSpecifier);
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return textOf(node.arguments[0]);
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return textOf(node.argument.literal);
  return undefined;
}

function textOf(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;
}

function isType(node: ts.Node): boolean {
  if (ts.isImportDeclaration(node)) return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
  return ts.isImportTypeNode(node) || (ts.isExportDeclaration(node) && node.isTypeOnly);
}

function resolve(from: string, specifier: string): readonly (string | undefined)[] {
  const files = conditional.get(specifier);
  if (files !== undefined) return files.map((file) => file.replace(/^\.\/dist\/(.*)\.js$/, '$1.ts'));
  if (!specifier.startsWith('.')) return [undefined];
  const path = posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
  return [existsSync(join(projectRoot, `${path}x`)) ? `${path}x` : path];
}

function importsOfPackage(): Readonly<Record<string, Readonly<Record<string, string>>>> {
  return JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')).imports;
}
