import { homedir } from 'node:os';
import { projectRoot } from '../support/fixtures.js';
import type { Finding } from './sources.js';

/** A text file of any kind. `path` is relative to the project's root. */
export interface Text {
  readonly path: string;
  readonly text: string;
}

interface Ban {
  readonly pattern: RegExp;
  readonly message: string;
}

// Each pattern has a bracket so that this file does not break its own rule.
const words: readonly Ban[] = [
  { pattern: /\b(TO[D]O|FI[X]ME|X[X]X|HA[C]K)\b/, message: 'marks unfinished work; finish it or say why it is so' },
  { pattern: /@ts-(igno[r]e|noche[c]k)/, message: 'silences the compiler' },
  { pattern: /(bio[m]e|es[l]int)-(ignore|disable)/, message: 'silences the linter' },
];

/** Words that no file may have: marks of unfinished work, and orders to silence a checker. */
export function bannedWords(file: Text): Finding[] {
  return search(file, words);
}

/**
 * Absolute paths of somebody's machine: below a home folder, or of the checkout
 * itself, given as `checkout`.
 */
export function machinePaths(file: Text, checkout: string = projectRoot): Finding[] {
  const message = 'names a path of one machine';
  const own = [checkout, homedir()].filter((path) => path.split('/').length > 2);
  return search(file, [
    { pattern: /(?<![\w.-])\/(home|Users)\/[a-z][\w-]*\//, message },
    { pattern: /\b[A-Z]:\\+Users\\/, message },
    ...own.map((path) => ({ pattern: new RegExp(`${escapePattern(path)}(?![\\w-])`), message })),
  ]);
}

function search({ path, text }: Text, bans: readonly Ban[]): Finding[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      bans
        .filter(({ pattern }) => pattern.test(line))
        .map(({ pattern, message }) => ({ path, line: index + 1, message: `"${pattern.exec(line)?.[0]}" ${message}` })),
    );
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
