import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { dts } from 'rollup-plugin-dts';

/*
 * Bundles the compiler's output into what is published: dist/index.js, dist/cli.js, the chunks they load on demand, and
 * the declarations. Reading 200 modules of ours and 300 of packages takes longer than opening a store.
 *
 * External: level and msgpackr, which find a native addon beside themselves, and abstract-level, which must be level's own.
 * RxJS is bundled, as Node loads all of its CommonJS build otherwise. Its observables work with those of the caller's
 * RxJS, which asks for methods, not for classes.
 */

const root = import.meta.dirname;
const library = join(root, 'dist/src/index.js');
const command = join(root, 'dist/src/cli/main.js');
const openStore = join(root, 'dist/src/store/open/open-store.js');
const external = [/^node:/, /^(level|abstract-level|msgpackr)$/];

/** RxJS gives Node its CommonJS build, of which nothing can be left out. */
const rxjsInModules = {
  name: 'rxjs-in-modules',
  resolveId: (id) => (id === 'rxjs' ? join(root, 'node_modules/rxjs/dist/esm/index.js') : null),
};

const finished = {
  name: 'finished',
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap(({ moduleIds }) => moduleIds ?? []);
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: licenses(modules) });
  },
  writeBundle: () => chmodSync(join(root, 'dist/cli.js'), 0o755),
};

/** One chunk for what works on stores, one for the commands; the entries keep theirs, rare decoders have their own. */
function chunkOf(id, { getModuleInfo }) {
  const closure = (entry, reached = new Set()) => {
    if (reached.has(entry)) return reached;
    reached.add(entry);
    for (const imported of getModuleInfo(entry)?.importedIds ?? []) closure(imported, reached);
    return reached;
  };
  if (closure(library).has(id) || closure(command).has(id)) return undefined;
  if (closure(openStore).has(id)) return 'store';
  if (id.startsWith(join(root, 'dist/src/cli/'))) return 'commands';
  return id.includes('node_modules') || id.endsWith('-decoder.js') ? undefined : 'store';
}

/** The licenses of all packages that `modules` are of: each asks to be kept beside its code. */
function licenses(modules) {
  const folders = modules.flatMap((id) => /^\0?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? []);
  const texts = [...new Set(folders)].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? `License: ${license}` : readFileSync(join(folder, file), 'utf8').trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  return `These packages are part of the files beside this one.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

/** Passes on what is no fault of ours: circles inside a package, and a helper of the compiler that looks for `this`. */
function onLog(level, log, handle) {
  const isTheirs = log.code === 'CIRCULAR_DEPENDENCY' && log.ids.some((id) => id.includes('node_modules'));
  if (!isTheirs && log.code !== 'THIS_IS_UNDEFINED') handle(level, log);
}

export default [
  {
    input: { index: library, cli: command },
    external,
    plugins: [rxjsInModules, nodeResolve({ exportConditions: ['node'] }), commonjs(), finished],
    onLog,
    output: {
      dir: join(root, 'dist'),
      chunkFileNames: 'chunks/[name].js',
      hoistTransitiveImports: false,
      onlyExplicitManualChunks: true,
      manualChunks: chunkOf,
    },
  },
  {
    input: join(root, 'dist/src/index.d.ts'),
    external: [...external, 'rxjs'],
    plugins: [dts()],
    onLog,
    output: { file: join(root, 'dist/index.d.ts') },
  },
];
