import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../support/fixtures.js';

/** One TypeScript file under inspection. `path` is relative to the project's root, with forward slashes. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** What a rule objects to. `line` counts from 1. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** Parses `text` as if it stood at `path`. */
export function sourceOf(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, kindOf(path)) };
}

function kindOf(path: string): ts.ScriptKind {
  return path.endsWith('.tsx') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
}

/** Every TypeScript file of the product, its scripts and its tests, by path; fixtures and peers are not ours. */
export function projectSources(): Source[] {
  return projectFiles(['src', 'projections', 'scripts', 'test'])
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => sourceOf(path, readFileSync(join(projectRoot, path), 'utf8')));
}

/** Paths of the files below `folders`, sorted, fixtures and peers left out. */
export function projectFiles(folders: readonly string[]): string[] {
  const foreign = ['test/fixtures', 'scripts/bench/peers'];
  return folders.flatMap((folder) => filesBelow(folder, foreign)).sort();
}

function filesBelow(folder: string, foreign: readonly string[]): string[] {
  return readdirSync(join(projectRoot, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (foreign.includes(path)) return [];
    return entry.isDirectory() ? filesBelow(path, foreign) : [path];
  });
}

/** A finding at the line where `node` begins, its comments not counted. */
export function findingAt(source: Source, node: ts.Node, message: string): Finding {
  return { path: source.path, line: lineAt(source, node.getStart(source.tree)), message };
}

/** Line of a character offset, from 1. */
export function lineAt(source: Source, offset: number): number {
  return source.tree.getLineAndCharacterOfPosition(offset).line + 1;
}

/** Every node of the tree, parents before children. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  for (const child of children) yield* nodesOf(child);
}

/** `path:line message`, one finding a line. */
export function formatFindings(findings: readonly Finding[]): string {
  return findings.map(({ path, line, message }) => `${path}:${line} ${message}`).join('\n');
}
