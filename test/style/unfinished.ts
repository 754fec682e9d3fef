import ts from 'typescript';
import { type Finding, findingAt, nodesOf, type Source } from './sources.js';

/** The one file that may skip a test: it says why in the title. */
const maySkip = 'test/support/requires.ts';
const modifiers = new Set(['skip', 'only', 'failing', 'todo']);

/** Tests that do not run, keep others from running, or are meant to fail. */
export function heldBackTests(source: Source): Finding[] {
  if (!source.path.startsWith('test/') || source.path === maySkip) return [];
  return [...nodesOf(source.tree)]
    .filter((node) => ts.isPropertyAccessExpression(node) && modifiers.has(node.name.text) && startsAtTest(node))
    .map((node) =>
      findingAt(source, node, `uses ${node.getText(source.tree)}; every test runs, alone and in the suite`),
    );
}

function startsAtTest(node: ts.Expression): boolean {
  if (ts.isPropertyAccessExpression(node)) return startsAtTest(node.expression);
  return ts.isIdentifier(node) && /^(test|.*Test)$/.test(node.text);
}

/** Catches, clauses and callbacks, that hold neither a statement nor a word on why nothing is to be done. */
export function emptyCatches(source: Source): Finding[] {
  return [...nodesOf(source.tree)]
    .filter((node) => isEmptyClause(node, source) || isEmptyCallback(node, source))
    .map((node) => findingAt(source, node, 'catches and forgets; handle the error or say why there is nothing to do'));
}

function isEmptyClause(node: ts.Node, source: Source): boolean {
  return ts.isCatchClause(node) && isBare(node.block, source);
}

function isEmptyCallback(node: ts.Node, source: Source): boolean {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  if (node.expression.name.text !== 'catch') return false;
  const [handler] = node.arguments;
  return (
    handler !== undefined && ts.isArrowFunction(handler) && ts.isBlock(handler.body) && isBare(handler.body, source)
  );
}

function isBare(block: ts.Block, source: Source): boolean {
  return block.statements.length === 0 && block.getText(source.tree).replace(/[{}\s]/g, '') === '';
}
