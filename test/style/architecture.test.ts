import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

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
