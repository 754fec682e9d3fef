import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { transform, version as esbuildVersion } from 'esbuild';
import { dts } from 'rollup-plugin-dts';

/*
 * Bundles the compiler's output into what is published: the library (dist/index.js, the chunks that it loads on demand,
 * its declarations) and the command (dist/cli.cjs, and the scripts that it runs from compiled code). Reading 200 modules
 * of ours and 300 of packages takes longer than opening a store.
 *
 * External is only level, which finds a native addon beside itself. RxJS is bundled, as Node loads all of its CommonJS
 * build otherwise; its observables work with those of the caller's RxJS, which asks for methods, not for classes. What
 * is CommonJS must be bundled: esbuild gives it no `require` in a module that it makes of the caller's program.
 */

const root = import.meta.dirname;
const dist = join(root, 'dist');
const built = (path) => join(dist, 'src', path);
const library = built('index.js');
const server = built('server/index.js');
const openStore = built('store/open/open-store.js');
/** All that finding a server needs, and then a client of it; what help and other commands need. */
const command = built('cli/process.js');
/** Apart: a socket that a killed server left costs no more than that nothing answers there. */
const connect = built('cli/client/connect.js');
const client = ['cli/client/run-remote.js', 'cli/pager.js'].map(built);
const program = built('cli/run.js');
/** What `imagelog serve` loads once it is sure to serve. */
const serveStore = built('server/service/serve-store.js');
/** What scripts and people ask all the time: it loads nothing of the other commands. */
const questions = ['images', 'log', 'tags'].map((name) => built(`cli/commands/${name}.js`));

/**
 * Packages that give Node more than is of use: RxJS its CommonJS build, of which nothing can be left out, and msgpackr
 * an addon that decodes long strings, while records have a decoder of ours.
 */
const leaner = { rxjs: 'rxjs/dist/esm/index.js', msgpackr: 'msgpackr/index.js' };
/**
 * Modules of Node that commander imports, as it finds them: it starts no programs of ours, and needs `process` for what
 * is global. Together they are a tenth of what help takes.
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

const packages = [
  leanerPackages,
  nodeResolve({ exportConditions: ['node'], preferBuiltins: true }),
  commonjs({ include: /node_modules/, requireReturnsDefault: (id) => id.startsWith(UNNEEDED) }),
];

/** Leaves out comments and spaces, which a start reads too: a third of the code. Names stay, for stack traces. */
async function smallerCode(code) {
  const options = { minifyWhitespace: true, minifySyntax: true, lineLimit: 120, target: 'node20.19', charset: 'ascii' };
  return (await transform(code, options)).code;
}

const smaller = { name: 'smaller', renderChunk: async (code) => ({ code: await smallerCode(code), map: null }) };

/** Makes each file a script: a function of what Node gives a file of CommonJS. */
const scripts = {
  name: 'scripts',
  augmentChunkHash: () => esbuildVersion,
  // Not while names have no digest yet: a long line may be broken in the middle of one.
  async generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle).filter(({ type }) => type === 'chunk')) {
      chunk.code = `(function(exports,require,module,__filename,__dirname){${await smallerCode(chunk.code)}})`;
    }
  },
};

/** Empties a folder: files of an older build would be published too. */
const emptied = (folder) => ({
  name: 'emptied',
  buildStart: () => rmSync(join(dist, folder), { recursive: true, force: true }),
});

const licensed = {
  name: 'licensed',
  generateBundle(_, bundle) {
    const ofPage = ['preact', '@noble/hashes'].map((name) => join(root, 'node_modules', name, 'package.json'));
    const modules = [...Object.values(bundle).flatMap(({ moduleIds }) => moduleIds ?? []), ...ofPage];
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: licenses(modules) });
  },
};

/** Tells the start of the command which script is the first: its name has a digest of its code. */
const firstScript = {
  name: 'first-script',
  transform: (code) => {
    const name = readdirSync(join(dist, 'command')).find((each) => each.startsWith('run-'));
    return { code: code.replace('FIRST_SCRIPT', JSON.stringify(name)), map: null };
  },
};

/**
 * One chunk for what the library itself is, one for open stores, one for the server, one for the rest, one for rare
 * decoders.
 */
function chunkOfLibrary(id, { getModuleInfo }) {
  // Decoders need it too, and must not load the server for it.
  if (id.startsWith('\0commonjsHelpers')) return 'library';
  if (isReached(id, library, getModuleInfo)) return 'library';
  if (isReached(id, openStore, getModuleInfo)) return 'store';
  if (isReached(id, server, getModuleInfo)) return 'server';
  return rareOr('work', id);
}

/** A script each for a start, a connection, a client, what every command needs, the questions, the server, and the rest. */
function scriptOf(id, { getModuleInfo }) {
  if (isReached(id, command, getModuleInfo)) return undefined;
  if (isReached(id, connect, getModuleInfo)) return 'connect';
  if (client.some((entry) => isReached(id, entry, getModuleInfo))) return 'client';
  if (isReached(id, program, getModuleInfo)) return 'program';
  if ([openStore, ...questions].some((entry) => isReached(id, entry, getModuleInfo))) return 'questions';
  if (isReached(id, serveStore, getModuleInfo)) return 'serve';
  return rareOr('work', id);
}

/** What is rarely loaded is apart: decoders and their packages together, other packages where they are imported. */
function rareOr(name, id) {
  if (/-decoder\.js$|\/node_modules\/(?:fzstd|unbzip2-stream|through)\//.test(id)) return 'decoders';
  return id.includes('node_modules') ? undefined : name;
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

const external = (id, importer) => (id === 'level' || id.startsWith('node:')) && !isUnneeded(id, importer);
const chunks = { hoistTransitiveImports: false, onlyExplicitManualChunks: true };

export default [
  {
    input: { index: library, server },
    external,
    plugins: [...packages, smaller, emptied('chunks')],
    onLog,
    output: { ...chunks, dir: dist, chunkFileNames: 'chunks/[name].js', manualChunks: chunkOfLibrary },
  },
  {
    input: { index: join(dist, 'src/index.d.ts'), server: join(dist, 'src/server/index.d.ts') },
    external: [/^node:/, 'level', 'rxjs'],
    plugins: [dts()],
    onLog,
    output: { dir: dist, chunkFileNames: 'chunks/types.d.ts' },
  },
  {
    input: { run: command },
    preserveEntrySignatures: 'allow-extension',
    external,
    plugins: [...packages, scripts, emptied('command'), licensed],
    onLog,
    output: {
      ...chunks,
      dir: dist,
      format: 'cjs',
      // What Node's loader of modules would load takes longer than our scripts.
      dynamicImportInCjs: false,
      entryFileNames: 'command/[name]-[hash].cjs',
      chunkFileNames: 'command/[name]-[hash].cjs',
      manualChunks: scriptOf,
    },
  },
  {
    input: built('cli/packaged-main.js'),
    external,
    plugins: [firstScript, smaller, { name: 'runs', writeBundle: () => chmodSync(join(dist, 'cli.cjs'), 0o755) }],
    onLog,
    output: { file: join(dist, 'cli.cjs'), format: 'cjs' },
  },
];
