import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../support/fixtures.js';

interface PackageFile {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version?: string }>>;
}

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const { dependencies, devDependencies }: PackageFile = JSON.parse(read('package.json'));
const { packages }: LockFile = JSON.parse(read('package-lock.json'));

/** First cells of the rows by the heading above them; packages of packages, in parentheses, left out. */
function cells(heading?: string): string[] {
  const sections = read('docs/DEPENDENCIES.md').split(/^## /m);
  return sections
    .filter((section) => heading === undefined || section.startsWith(`${heading}\n`))
    .flatMap((section) => [...section.matchAll(/^\| (`.*?) \|/gm)])
    .map(([, cell]) => (cell as string).replace(/ \(.*\)/, ''));
}

const names = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);

test('docs/DEPENDENCIES.md has each package of package.json once, and no other', (t) => {
  const expected = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  t.deepEqual(cells().flatMap(names).sort(), expected.sort());
});

test('its installed packages are the dependencies', (t) => {
  t.deepEqual(cells('Installed').flatMap(names).sort(), Object.keys(dependencies).sort());
});

test('its major versions are those of the lock file', (t) => {
  const versions = cells().flatMap((cell) => [...cell.matchAll(/^`([^`]+)` (\d+)$/g)]);
  t.true(versions.length >= Object.keys(dependencies).length);
  for (const [, name, major] of versions) {
    t.is(packages[`node_modules/${name}`]?.version?.split('.')[0], major, name);
  }
});

test('its bundled packages, and theirs in parentheses, are in the lock file', (t) => {
  const section =
    read('docs/DEPENDENCIES.md')
      .split(/^## Bundled\n/m)[1]
      ?.split(/^## /m)[0] ?? '';
  const rows = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => names(cell as string));
  t.true(rows.includes('through'));
  for (const name of rows) t.true(`node_modules/${name}` in packages, name);
});
