import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { importsOf } from './imports.js';
import { projectSources } from './sources.js';

const root = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('ARCHITECTURE.md', root), 'utf8');

function foldersBelow(folder: string): string[] {
  return [
    folder,
    ...readdirSync(new URL(folder, root), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => entry.parentPath.slice(fileURLToPath(root).length)),
  ];
}

test('ARCHITECTURE.md has a row for every folder of the product, and for no other', (t) => {
  const rows = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, folder]) => folder as string);
  const folders = new Set([...foldersBelow('src'), ...foldersBelow('projections')]);
  folders.delete('src');
  t.deepEqual(rows.sort(), [...folders].sort());
});

test('a folder imports no folder that its row does not name', (t) => {
  const rows = [...page.matchAll(/^\| `([^`]+)` \|.*\| ([^|]+) \|$/gm)];
  const allowed = new Map(rows.map(([, folder, cell]) => [folder as string, cell as string]));
  t.true(allowed.size > 20);
  const isAllowed = (from: string, to: string): boolean => {
    const cell = allowed.get(from) ?? '';
    if (from === to || to === 'src' || cell === 'everything') return true;
    const name = to.replace(/^src\//, '');
    return cell.startsWith('everything but') ? !cell.includes(`\`${name}\``) : cell.includes(`\`${name}\``);
  };
  const wrong = projectSources().flatMap((source) => {
    const from = dirname(source.path);
    if (!allowed.has(from)) return [];
    const folders = importsOf(source).flatMap(({ path }) => (path === undefined ? [] : [dirname(path)]));
    return folders.filter((to) => !isAllowed(from, to)).map((to) => `${source.path} imports ${to}`);
  });
  t.deepEqual(wrong, []);
});

test('every file that ARCHITECTURE.md names is there', (t) => {
  const named = [...page.matchAll(/`((?:src|projections|test|scripts)\/[^`]+\.ts)`/g)].map(
    ([, path]) => path as string,
  );
  t.true(named.length > 20);
  t.deepEqual(
    named.filter((path) => !existsSync(new URL(path, root))),
    [],
  );
  // A file that stands beside one that was named just before.
  for (const [, first, second] of page.matchAll(/`(src\/[^`]+\.ts)` or `([a-z-]+\.ts)`/g)) {
    t.true(existsSync(new URL(`${dirname(first as string)}/${second}`, root)), second);
  }
});
