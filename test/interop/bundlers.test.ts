import { existsSync, mkdtempSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import test, { type ExecutionContext } from 'ava';
import { build } from 'esbuild';
import { rollup } from 'rollup';
import { projectRoot } from '../support/fixtures.js';
import { archivePath } from '../store/fixture-archives.js';
import { runProgram, whyItFails } from './run-program.js';

/** Where the package is installed, beside its dependencies; each test has its own files here. */
const folder = mkdtempSync(join(tmpdir(), 'imagelog-test-'));

/** The command as it is installed. */
const COMMAND = join(folder, 'node_modules', 'imagelog', 'dist', 'cli.cjs');

/** Uses what loads code on demand: the database, archives, decoders of layers, verification. */
const PROGRAM = `
async function main({ openStore, verifyStore, isStoreError }, { firstValueFrom, isObservable, map }) {
  const [directory, ...archives] = process.argv.slice(2);
  const store = await openStore(directory, { actor: 'bundle' });
  const first = firstValueFrom(store.log.events$.pipe(map(({ type }) => type)));
  const config = { os: 'linux', architecture: 'amd64', config: {}, rootfs: { type: 'layers', diff_ids: [] } };
  const id = await store.create(new TextEncoder().encode(JSON.stringify(config)));
  for (const archive of archives) await store.load(archive);
  const missing = await openStore(directory + '-none', { create: false }).catch((error) => error);
  const found = {
    isObservable: isObservable(store.log.events$),
    first: await first,
    os: store.get(id).operatingSystem(),
    images: store.len(),
    violations: [...await store.verify()],
    code: isStoreError(missing) ? missing.code : String(missing),
  };
  await store.close();
  console.log(JSON.stringify({ ...found, after: await verifyStore(directory) }));
}
`;
const IMPORTING = `import * as imagelog from 'imagelog';\nimport * as rxjs from 'rxjs';\n${PROGRAM}main(imagelog, rxjs);`;
const REQUIRING = `${PROGRAM}main(require('imagelog'), require('rxjs'));`;
const ARCHIVES = ['docker25-all.tar', 'oci-zstd.tar'].map(archivePath);
const FOUND = {
  isObservable: true,
  first: 'ImageCreated',
  os: 'linux',
  images: 6,
  violations: [],
  code: 'STORE_NOT_FOUND',
  after: [],
};

test.before('install the package as npm packs it', async () => {
  const [{ filename }] = JSON.parse(
    await runProgram('npm', 'pack', projectRoot, '--ignore-scripts', '--json', '--pack-destination', folder),
  ) as [{ readonly filename: string }];
  const installed = join(folder, 'node_modules', 'imagelog');
  await mkdir(installed, { recursive: true });
  await runProgram('tar', '-xzf', join(folder, filename), '-C', installed, '--strip-components=1');
  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  for (const dependency of Object.keys(dependencies)) {
    await symlink(join(projectRoot, 'node_modules', dependency), join(folder, 'node_modules', dependency));
  }
});

test.after.always('remove what was installed', () => rm(folder, { recursive: true }));

/** Runs the program `name` in the folder, where it finds only what is installed there. */
async function runs(t: ExecutionContext, name: string): Promise<void> {
  const program = join(folder, name);
  const printed = await runProgram(process.execPath, program, `${program}.store`, ...ARCHIVES);
  t.deepEqual(JSON.parse(printed), FOUND);
}

async function source(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

test('a program imports the package', async (t) => {
  await source('imports.mjs', IMPORTING);
  await runs(t, 'imports.mjs');
});

test('a CommonJS program requires the package', async (t) => {
  await source('requires.cjs', REQUIRING);
  await runs(t, 'requires.cjs');
});

for (const [format, extension] of [
  ['esm', 'mjs'],
  ['cjs', 'cjs'],
] as const) {
  test(`a program that esbuild bundles with us as ${format} runs`, async (t) => {
    const entry = await source(`for-${format}.mjs`, IMPORTING);
    const outfile = join(folder, `bundled.${extension}`);
    await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format, external: ['level'] });
    await runs(t, `bundled.${extension}`);
  });
}

test('a program that rollup bundles with us runs', async (t) => {
  const bundle = await rollup({
    input: await source('for-rollup.mjs', IMPORTING),
    external: ['level'],
    plugins: [nodeResolve()],
    onLog: (_, log) => t.is(log.code, 'CIRCULAR_DEPENDENCY', log.message),
  });
  await bundle.write({ dir: join(folder, 'rolled'), entryFileNames: '[name].mjs' });
  await runs(t, join('rolled', 'for-rollup.mjs'));
});

/** Serves a store through the function and by a connection. */
const SERVING = `
import { createServer as http } from 'node:http';
import { openStore } from 'imagelog';
import { createServer } from 'imagelog/server';
const store = await openStore(process.argv[2]);
const server = createServer(store);
const listening = http(server.listener).listen(0, '127.0.0.1', async () => {
  const url = 'http://127.0.0.1:' + listening.address().port;
  const { name, head } = await (await fetch(url)).json();
  const { ready } = await (await server.fetch(new Request(url + '/ready'))).json();
  console.log(JSON.stringify({ name, head, ready }));
  listening.close();
  listening.closeAllConnections();
  await server.close();
  await store.close();
});
`;

test('a program serves a store by imagelog/server', async (t) => {
  const program = await source('serves.mjs', SERVING);
  const printed = await runProgram(process.execPath, program, `${program}.store`);
  t.deepEqual(JSON.parse(printed), { name: 'imagelog', head: 0, ready: true });
});

test('the installed command loads an archive and lists its images', async (t) => {
  const store = join(folder, 'store');
  const run = (...argv: string[]): Promise<string> => runProgram(process.execPath, COMMAND, '--store', store, ...argv);
  await run('load', ...ARCHIVES);
  // Also once its compiled code is kept.
  for (let times = 0; times < 2; times++) {
    t.is(new Set((await run('images', '-q')).trim().split('\n')).size, FOUND.images - 1);
  }
});

test('commands that read do without LevelDB, and others say that it is missing', async (t) => {
  const alone = mkdtempSync(join(tmpdir(), 'imagelog-test-'));
  t.teardown(() => rm(alone, { recursive: true }));
  await cp(join(folder, 'node_modules', 'imagelog'), alone, { recursive: true });
  const store = join(folder, 'read-only');
  const run = (command: string, ...argv: string[]): Promise<string> =>
    runProgram(process.execPath, command, '--store', store, ...argv);
  const aloneCommand = join(alone, 'dist', 'cli.cjs');
  await run(COMMAND, 'load', ...ARCHIVES);
  for (const question of [['images'], ['log', '-n', '1'], ['resolve', 'shop/app:2.0'], ['stats', '--json']]) {
    t.is(await run(aloneCommand, ...question), await run(COMMAND, ...question));
  }
  const why = await whyItFails(() => run(aloneCommand, 'untag', 'shop/app:2.0'));
  t.regex(String(why), /cannot load the code of LevelDB/);
});

test('the installed command keeps compiled code for the user alone, and does without', async (t) => {
  const cache = join(folder, 'cache');
  const help = (...env: string[]): Promise<string> =>
    runProgram('env', `XDG_CACHE_HOME=${cache}`, ...env, process.execPath, COMMAND, 'help', 'log');
  const first = await help('NODE_DISABLE_COMPILE_CACHE=1');
  t.false(existsSync(cache));
  for (let times = 0; times < 2; times++) t.is(await help(), first);
  const names = await readdir(join(cache, 'imagelog-code'));
  t.true(names.length > 0);
  for (const name of names) t.is((await stat(join(cache, 'imagelog-code', name))).mode & 0o777, 0o600, name);
  t.is((await stat(join(cache, 'imagelog-code'))).mode & 0o777, 0o700);
  // A file in its place.
  await rm(cache, { recursive: true });
  await writeFile(cache, '');
  t.is(await help(), first);
});

test('the package has the schemas of events, at the names that it exports', async (t) => {
  for (const name of ['event', 'cloudevent']) {
    const program = join(folder, `schema-${name}.cjs`);
    await writeFile(program, `console.log(require('imagelog/schemas/${name}.json').oneOf.length);`);
    const schema = join(projectRoot, 'schemas', `${name}.json`);
    const { oneOf } = JSON.parse(await readFile(schema, 'utf8')) as { readonly oneOf: readonly unknown[] };
    t.is(Number(await runProgram(process.execPath, program)), oneOf.length);
  }
});

test('the package is small: at most 70 files, half of them man pages, and nothing of the checkout', async (t) => {
  const output = await runProgram('npm', 'pack', projectRoot, '--ignore-scripts', '--json', '--dry-run');
  const [{ files }] = JSON.parse(output) as [{ readonly files: readonly { readonly path: string }[] }];
  t.true(files.length <= 70, String(files.length));
  t.deepEqual(
    files
      .map(({ path }) => path)
      .filter((path) => /^(src|projections|test|scripts|dist\/(src|test|scripts))\//.test(path)),
    [],
  );
});

test('the package exports at most 120 names', async (t) => {
  const declarations = await readFile(join(folder, 'node_modules', 'imagelog', 'dist', 'index.d.ts'), 'utf8');
  const names = [...declarations.matchAll(/^export (?:type )?\{([^}]*)\}(?: from '[^']+')?;$/gm)].flatMap(
    ([, list = '']) => list.split(','),
  );
  t.true(names.length > 100 && names.length <= 120, String(names.length));
});
