import { posix } from 'node:path';
import { type Import, importsOf } from './imports.js';
import { type Finding, findingAt, type Source } from './sources.js';

type Layer =
  | 'ground'
  | 'model'
  | 'log'
  | 'projections'
  | 'tar'
  | 'archive'
  | 'store'
  | 'index'
  | 'cli'
  | 'scripts'
  | 'test';

/** The arrows of the design: what each layer may import beside itself. */
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  ground: [],
  model: ['ground'],
  log: ['ground', 'model'],
  projections: ['ground', 'model', 'log'],
  tar: ['ground', 'model'],
  archive: ['ground', 'model', 'tar'],
  store: ['ground', 'model', 'log', 'projections', 'tar'],
  index: ['ground', 'model', 'log', 'projections', 'tar', 'archive', 'store'],
  cli: ['ground', 'model', 'log', 'projections', 'tar', 'archive', 'store', 'index'],
  scripts: ['ground', 'model', 'log', 'projections', 'tar', 'archive', 'store', 'index', 'cli'],
  test: ['ground', 'model', 'log', 'projections', 'tar', 'archive', 'store', 'index', 'cli', 'scripts'],
};

/** Of the ground, these build on another: on the errors. */
const onErrors: readonly string[] = ['src/abort.ts', 'src/load-code.ts'];

/** Where store and archive meet: the commands that load and save. */
const meetsArchive = /^(load.*|save.*|exporter)\.ts$/;

/** Imports against the arrows of the design, and imports out of the project's folders. */
export function wrongImports(source: Source): Finding[] {
  const from = layerOf(source.path);
  if (from === undefined) {
    return [{ path: source.path, line: 1, message: 'stands in no layer; name its layer in test/style/layers.ts' }];
  }
  return importsOf(source).flatMap((imported) => judge(source, from, imported));
}

function judge(source: Source, from: Layer, imported: Import): Finding[] {
  if (imported.path === undefined) return [];
  const to = layerOf(imported.path);
  if (to === undefined) return [findingAt(source, imported.node, `imports ${imported.path}, which is in no layer`)];
  if (to === from && (from !== 'ground' || onErrors.includes(source.path))) return [];
  if (mayImport[from].includes(to)) return [];
  if (from === 'store' && to === 'archive') {
    if (meetsArchive.test(posix.basename(source.path))) return [];
    const message = `imports ${imported.path}; in store only load*.ts, save*.ts and exporter.ts import archive`;
    return [findingAt(source, imported.node, message)];
  }
  const allowed = mayImport[from].length === 0 ? 'nothing' : mayImport[from].join(', ');
  return [findingAt(source, imported.node, `imports ${imported.path}; ${from} may import ${allowed}`)];
}

function layerOf(path: string): Layer | undefined {
  if (['src/errors.ts', 'src/limits.ts', ...onErrors].includes(path)) return 'ground';
  if (path === 'src/index.ts') return 'index';
  const [first, second] = path.split('/');
  if (first === 'projections' || first === 'scripts' || first === 'test') return first;
  if (first !== 'src') return undefined;
  const folders: readonly Layer[] = ['model', 'log', 'tar', 'archive', 'store', 'cli'];
  return folders.find((folder) => folder === second);
}
