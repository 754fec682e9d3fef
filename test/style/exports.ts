import ts from 'typescript';
import { type Finding, findingAt, nodesOf, type Source } from './sources.js';

/** Default exports, and `export *` outside the public index. */
export function vagueExports(source: Source): Finding[] {
  const findings: Finding[] = [];
  for (const node of nodesOf(source.tree)) {
    if (isDefaultExport(node)) findings.push(findingAt(source, node, 'exports a default; give it a name'));
    if (isStarExport(node) && source.path !== 'src/index.ts') {
      findings.push(findingAt(source, node, 'exports *; name what is exported'));
    }
  }
  return findings;
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  if (!ts.canHaveModifiers(node)) return false;
  return ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false;
}

function isStarExport(node: ts.Node): boolean {
  return ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause));
}
