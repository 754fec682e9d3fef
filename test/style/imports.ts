import { posix } from 'node:path';
import ts from 'typescript';
import { nodesOf, type Source } from './sources.js';

/** One import of a file, of types or of values, `import` or `export … from` or `import()`. */
export interface Import {
  readonly specifier: string;
  readonly node: ts.Node;
  /** Path of the imported file from the project's root; undefined for packages and `node:`. */
  readonly path: string | undefined;
}

/** What `source` imports, in its order. */
export function importsOf(source: Source): Import[] {
  const imports: Import[] = [];
  for (const node of nodesOf(source.tree)) {
    const specifier = specifierOf(node);
    if (specifier !== undefined) imports.push({ specifier, node, path: resolve(source.path, specifier) });
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

function resolve(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}
