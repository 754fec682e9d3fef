import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Tests that run in a thread of their own: they patch what others use, or await while they are loaded, when ava would begin
 * before the others are there.
 */
const aloneTests: readonly string[] = [
  'log/check-log-proof',
  'log/checkpoint',
  'log/signed-note',
  'store/open/unread-log',
  'store/open/whole-tables',
];

/**
 * Ends a build: the compiler never removes what it once wrote, so the output of
 * deleted sources goes here (a deleted test would run for ever), the command
 * becomes executable, and the quick tests are put together in suites.
 */
function finishBuild(): void {
  const dist = dirname(dirname(fileURLToPath(import.meta.url)));
  const root = dirname(dist);
  for (const folder of ['src', 'projections', 'scripts', 'test']) removeOrphans(join(dist, folder), join(root, folder));
  const command = join(dist, 'src', 'cli', 'main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  if (existsSync(join(dist, 'test'))) writeSuites(join(dist, 'test'), join(dist, 'test-suites'));
}

/**
 * Writes one file for each suite, which imports the tests of it. A thread that loads 600 modules for each test file would cost
 * more than the tests do.
 */
function writeSuites(tests: string, suites: string): void {
  const imports = new Map<string, string[]>();
  const names = readdirSync(tests, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'));
  for (const name of names.filter((name) => name.endsWith('.test.js')).sort()) {
    const suite = suiteOf(name.replace(/\.test\.js$/, ''));
    if (suite !== undefined) imports.set(suite, [...(imports.get(suite) ?? []), `import '../test/${name}';\n`]);
  }
  rmSync(suites, { recursive: true, force: true });
  mkdirSync(suites);
  for (const [suite, lines] of imports) writeFileSync(join(suites, `${suite}.test.js`), lines.join(''));
}

/** The suite of a test, by its folder; undefined for what has a configuration of its own. */
function suiteOf(test: string): string | undefined {
  const [first = '', second = '', third] = test.split('/');
  if (first === 'slow' || first === 'interop') return undefined;
  if (aloneTests.includes(test)) return test.replaceAll('/', '-');
  if (first === 'style' || first === 'support' || second === '') return 'project';
  return first === 'store' && third !== undefined ? `${first}-${second}` : first;
}

/** Removes from `output` what no TypeScript file of `source` stands behind, and folders that are empty then. */
function removeOrphans(output: string, source: string): void {
  if (!existsSync(output)) return;
  for (const entry of readdirSync(output, { withFileTypes: true })) {
    const path = join(output, entry.name);
    if (entry.isDirectory()) {
      removeOrphans(path, join(source, entry.name));
    } else if (!existsSync(join(source, sourceName(entry.name)))) {
      console.log(`build: removes ${relative(process.cwd(), path)}, its source is gone`);
      rmSync(path);
    }
  }
  if (readdirSync(output).length === 0) rmdirSync(output);
}

function sourceName(outputName: string): string {
  return outputName.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
}

finishBuild();
