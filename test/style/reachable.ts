import { importsOf } from './imports.js';
import type { Finding, Source } from './sources.js';

/** Where the product begins: what users import and what they run. */
const productEntries: readonly string[] = [
  'src/index.ts',
  'src/server/index.ts',
  'src/cli/main.ts',
  'src/cli/packaged-main.ts',
  'src/page/view/main.tsx',
];

/** Entries that are missing, and files of src and projections that no entry leads to: what only tests import is dead. */
export function deadFiles(sources: readonly Source[], entries: readonly string[] = productEntries): Finding[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const missing = entries
    .filter((entry) => !byPath.has(entry))
    .map((path) => ({ path, line: 1, message: 'is missing; the product begins here' }));
  const reached = reach(byPath, entries);
  const dead = sources
    .filter(({ path }) => /^(src|projections)\//.test(path) && !reached.has(path))
    .map(({ path }) => ({ path, line: 1, message: `is not reached from ${entries.join(' or ')}` }));
  return [...missing, ...dead];
}

function reach(byPath: ReadonlyMap<string, Source>, entries: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const source = byPath.get(path);
    if (source === undefined || reached.has(path)) continue;
    reached.add(path);
    waiting.push(...importsOf(source).flatMap((imported) => imported.path ?? []));
  }
  return reached;
}
