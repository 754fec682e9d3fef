import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundlePage } from './bundle-page.js';

/**
 * Tests with their own thread: they patch shared state, or await at the top level, when ava would
 * start before the others are loaded.
 */
const aloneTests: readonly string[] = [
  'log/check-log-proof',
  'log/checkpoint',
  'log/signed-note',
  'store/open/unread-log',
  'store/open/whole-tables',
];

/**
 * Finishes a build: removes output of deleted sources (the compiler does not, so deleted tests
 * would keep running), makes the command executable, bundles the page, and groups quick tests into suites.
 */
async function finishBuild(): Promise<void> {
  const dist = dirname(dirname(fileURLToPath(import.meta.url)));
  const root = dirname(dist);
  for (const folder of ['src', 'projections', 'scripts', 'test']) removeOrphans(join(dist, folder), join(root, folder));
  const command = join(dist, 'src', 'cli', 'main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  await bundlePage(root);
  if (existsSync(join(dist, 'test'))) writeSuites(join(dist, 'test'), join(dist, 'test-suites'));
}

/** Writes a file per suite: a thread per test, each loading 600 modules, would cost too much. */
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

/** Returns the suite of a test, by folder; undefined for those with their own configuration. */
function suiteOf(test: string): string | undefined {
  const [first = '', second = '', third] = test.split('/');
  if (first === 'slow' || first === 'interop') return undefined;
  if (aloneTests.includes(test)) return test.replaceAll('/', '-');
  if (first === 'style' || first === 'support' || second === '') return 'project';
  return first === 'store' && third !== undefined ? `${first}-${second}` : first;
}

/** Removes output without a TypeScript source, and emptied folders. */
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

await finishBuild();
