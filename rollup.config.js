import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { dts } from 'rollup-plugin-dts';

/*
 * Bundles the compiler's output into what is published: dist/index.js, dist/cli.js, the chunks they load on demand, and
 * the declarations. Reading 200 modules of ours and 300 of packages takes longer than opening a store.
 *
 * External is only level, which finds a native addon beside itself. RxJS is bundled, as Node loads all of its CommonJS
 * build otherwise; its observables work with those of the caller's RxJS, which asks for methods, not for classes. What
 * is CommonJS must be bundled: esbuild gives it no `require` in a module that it makes of the caller's program.
 */

const root = import.meta.dirname;
const library = join(root, 'dist/src/index.js');
const command = join(root, 'dist/src/cli/main.js');
// All that help needs: the entry loads it on demand, after the cache of compiled code is on.
const grammar = join(root, 'dist/src/cli/run.js');
const openStore = join(root, 'dist/src/store/open/open-store.js');

/**
 * Packages that give Node more than is of use: RxJS its CommonJS build, of which nothing can be left out, and msgpackr
 * an addon that decodes long strings, while records have a decoder of ours.
 */
const leaner = { rxjs: 'rxjs/dist/esm/index.js', msgpackr: 'msgpackr/index.js' };
/**
 * Modules of Node that commander imports, as it finds them: it starts no programs of ours, and an import of all names
 * of `process` opens the standard streams. Together they are a fifth of what help takes.
 */
const UNNEEDED = '\0unneeded:';
const unneeded = { 'node:child_process': 'export default {};', 'node:process': 'export default globalThis.process;' };
const isUnneeded = (id, importer = '') => Object.hasOwn(unneeded, id) && importer.includes('/commander/');
const leanerPackages = {
  name: 'leaner-packages',
  resolveId(id, importer) {
    if (Object.hasOwn(leaner, id)) return join(root, 'node_modules', leaner[id]);
    return isUnneeded(id, importer) ? UNNEEDED + id : null;
  },
  load: (id) => (id.startsWith(UNNEEDED) ? unneeded[id.slice(UNNEEDED.length)] : null),
};

const finished = {
  name: 'finished',
  // A chunk of an older build would be published too.
  buildStart: () => rmSync(join(root, 'dist/chunks'), { recursive: true, force: true }),
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap(({ moduleIds }) => moduleIds ?? []);
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: licenses(modules) });
  },
  writeBundle: () => chmodSync(join(root, 'dist/cli.js'), 0o755),
};

/**
 * One chunk for what works on stores, one for the commands; the entries keep theirs, rare decoders and what completes
 * command lines have their own.
 */
function chunkOf(id, { getModuleInfo }) {
  if ([library, command, grammar].some((entry) => isReached(id, entry, getModuleInfo))) return undefined;
  if (isReached(id, openStore, getModuleInfo)) return 'store';
  if (id.startsWith(join(root, 'dist/src/cli/completion/')) && !id.endsWith('shells.js')) return 'completion';
  if (id.startsWith(join(root, 'dist/src/cli/'))) return 'commands';
  return id.includes('node_modules') || id.endsWith('-decoder.js') ? undefined : 'store';
}

const closures = new Map();

/** Whether loading the module `from` loads the module `id` too. */
function isReached(id, from, getModuleInfo) {
  const reached = closures.get(from) ?? new Set([from]);
  if (!closures.has(from)) {
    closures.set(from, reached);
    // A set visits what is added during the visit.
    for (const each of reached) for (const imported of getModuleInfo(each)?.importedIds ?? []) reached.add(imported);
  }
  return reached.has(id);
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
    external: (id, importer) => (id === 'level' || id.startsWith('node:')) && !isUnneeded(id, importer),
    plugins: [
      leanerPackages,
      nodeResolve({ exportConditions: ['node'], preferBuiltins: true }),
      commonjs({ include: /node_modules/, requireReturnsDefault: (id) => id.startsWith(UNNEEDED) }),
      finished,
    ],
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
    external: [/^node:/, 'level', 'rxjs'],
    plugins: [dts()],
    onLog,
    output: { file: join(root, 'dist/index.d.ts') },
  },
];
