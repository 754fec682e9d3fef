import ts from 'typescript';
import { type Import, importsOf } from './imports.js';
import { type Finding, findingAt, nodesOf, type Source } from './sources.js';

const portable = /^(src\/(model|log)|projections)\//;
/** What opens LevelDB, and reads its files: the rest of the log runs in a browser, and does not lead here. */
const levelDb = /^src\/log\/leveldb\//;
const opensLevel = ['level', 'abstract-level'];
/** The file that stands for `#sha256` where Node is. */
const nodeHash = 'src/model/sha256-node.ts';
const mayPrint = /^(src\/cli|scripts)\//;

/** What ties the portable folders to Node: `node:` imports, the globals Buffer and process, and LevelDB. */
export function nodeTies(source: Source): Finding[] {
  if (!portable.test(source.path) || source.path === nodeHash) return [];
  const imports = importsOf(source).flatMap((imported) => {
    const { specifier, node } = imported;
    if (!specifier.startsWith('node:') && !leadsToLevel(source, imported)) return [];
    return [findingAt(source, node, `imports ${specifier}; this folder runs in a browser too`)];
  });
  const globals = [...nodesOf(source.tree)]
    .filter((node) => isGlobal(node, 'Buffer') || isGlobal(node, 'process'))
    .map((node) => findingAt(source, node, `uses ${node.getText(source.tree)}; this folder runs in a browser too`));
  return [...imports, ...globals];
}

/** Types of LevelDB are gone when the program runs. */
function leadsToLevel(source: Source, { specifier, path, isType }: Import): boolean {
  if (isType || levelDb.test(source.path)) return false;
  return opensLevel.includes(specifier) || (path !== undefined && levelDb.test(path));
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
