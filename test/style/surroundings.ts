import ts from 'typescript';
import { importsOf } from './imports.js';
import { type Finding, findingAt, nodesOf, type Source } from './sources.js';

const portable = /^(src\/(model|log)|projections)\//;
const mayPrint = /^(src\/cli|scripts)\//;

/** What ties the portable folders to Node: `node:` imports and the globals Buffer and process. */
export function nodeTies(source: Source): Finding[] {
  if (!portable.test(source.path)) return [];
  const imports = importsOf(source)
    .filter(({ specifier }) => specifier.startsWith('node:'))
    .map(({ specifier, node }) => findingAt(source, node, `imports ${specifier}; this folder runs in a browser too`));
  const globals = [...nodesOf(source.tree)]
    .filter((node) => isGlobal(node, 'Buffer') || isGlobal(node, 'process'))
    .map((node) => findingAt(source, node, `uses ${node.getText(source.tree)}; this folder runs in a browser too`));
  return [...imports, ...globals];
}

/** Prints outside the command line and the scripts: `console`, `process.stdout` and `process.stderr`. */
export function strayPrints(source: Source): Finding[] {
  if (mayPrint.test(source.path)) return [];
  return [...nodesOf(source.tree)]
    .filter((node) => isGlobal(node, 'console') || isStandardStream(node))
    .map((node) => findingAt(source, node, `uses ${node.getText(source.tree)}; only src/cli and scripts print`));
}

function isStandardStream(node: ts.Node): boolean {
  return (
    ts.isPropertyAccessExpression(node) &&
    isGlobal(node.expression, 'process') &&
    (node.name.text === 'stdout' || node.name.text === 'stderr')
  );
}

function isGlobal(node: ts.Node, name: string): boolean {
  if (!ts.isIdentifier(node) || node.text !== name) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  return !isNameOfMember(node, parent);
}

function isNameOfMember(node: ts.Identifier, parent: ts.Node): boolean {
  const named =
    ts.isPropertyAssignment(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isPropertyDeclaration(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isMethodSignature(parent);
  return named && parent.name === node;
}
