import ts from 'typescript';
import { type Finding, findingAt, lineAt, nodesOf, type Source } from './sources.js';

/** Lines that a file may have. */
const MAX_FILE_LINES = 600;
/** Lines that a function may have, from its first word to its closing brace. */
const MAX_FUNCTION_LINES = 70;

/** Files that are too long. */
export function longFiles(source: Source): Finding[] {
  const lines = source.text.replace(/\n$/, '').split('\n').length;
  if (lines <= MAX_FILE_LINES) return [];
  return [{ path: source.path, line: lines, message: `has ${lines} lines; a file has at most ${MAX_FILE_LINES}` }];
}

/** Functions, methods and callbacks that are too long. */
export function longFunctions(source: Source): Finding[] {
  const findings: Finding[] = [];
  for (const node of nodesOf(source.tree)) {
    if (!ts.isFunctionLike(node)) continue;
    const lines = lineAt(source, node.getEnd()) - lineAt(source, node.getStart(source.tree)) + 1;
    if (lines <= MAX_FUNCTION_LINES) continue;
    const name = node.name?.getText(source.tree) ?? 'an unnamed function';
    findings.push(findingAt(source, node, `${name} has ${lines} lines; a function has at most ${MAX_FUNCTION_LINES}`));
  }
  return findings;
}
