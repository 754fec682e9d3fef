import { posix } from 'node:path';
import type ts from 'typescript';
import { type Import, importsOf } from './imports.js';
import { type Finding, findingAt, type Source } from './sources.js';

type Layer =
  | 'ground'
  | 'model'
  | 'log'
  | 'projections'
  | 'compression'
  | 'tar'
  | 'archive'
  | 'store'
  | 'index'
  | 'registry-client'
  | 'server'
  | 'cli'
  | 'scripts'
  | 'test';

/** The arrows of the design: what each layer may import beside itself. */
const core = ['ground', 'model', 'log', 'projections', 'compression', 'tar'] as const;
const product = [...core, 'archive', 'store', 'index', 'registry-client', 'server'] as const;
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  ground: [],
  model: ['ground'],
  log: ['ground', 'model'],
  projections: ['ground', 'model', 'log'],
  compression: ['ground'],
  tar: ['ground', 'model', 'compression'],
  archive: ['ground', 'model', 'compression', 'tar'],
  store: core,
  index: [...core, 'archive', 'store'],
  'registry-client': ['ground', 'model', 'tar', 'archive', 'store'],
  server: [...core, 'archive', 'store', 'registry-client'],
  cli: product,
  scripts: [...product, 'cli'],
  test: [...product, 'cli', 'scripts'],
};

const HERE = 'test/style/layers.ts';

/** What reads a tar, in src/archive: it knows nothing of images, and the store of layers uses it alone. */
const tarFiles = /^src\/archive\/(tar-\w+|layer-meter)\.ts$/;

/** Where store and archive meet: the commands that load and save. */
const meetsArchive = /^(load|save).*\.ts$/;

/**
 * The places inside src/store, from the ground up: each imports from itself and from those before it,
 * types included. Two files rank apart from their folders, as ways in that `on-demand.ts` loads:
 * opening makes the store of all members, and a rebuild of a closed store opens it at its end.
 */
const storePlaces: readonly string[] = [
  'version.ts',
  'argument-types.ts',
  'files/',
  'keys.ts',
  'store.ts',
  'follow/',
  'snapshots/',
  'open/',
  'commands/',
  'event-clock.ts',
  'writer.ts',
  'layers/',
  'images.ts',
  'docker-backend.ts',
  'context.ts',
  'artifacts.ts',
  'evidence.ts',
  'own-projections.ts',
  'consumers/',
  'event-stream.ts',
  'past/',
  'erase.ts',
  'verify/',
  'backup/',
  'verify-store.ts',
  'rebuild/',
  'registry-store.ts',
  'event-store.ts',
  'archives/',
  'registry/',
  'local-event-store.ts',
  'open/open-store.ts',
  'rebuild/rebuild-store.ts',
  'on-demand.ts',
];

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
  if (to === 'store' && from === 'store') return judgeInStore(source, imported.node, imported.path);
  if (to === from && from !== 'ground') return [];
  if (mayImport[from].includes(to)) return [];
  if (from === 'store' && to === 'archive') {
    if (meetsArchive.test(posix.basename(source.path)) || placeOf(source.path) === 'registry/') return [];
    const message = `imports ${imported.path}; in store only load*.ts, save*.ts and registry/ import archive`;
    return [findingAt(source, imported.node, message)];
  }
  const allowed = mayImport[from].length === 0 ? 'nothing' : mayImport[from].join(', ');
  return [findingAt(source, imported.node, `imports ${imported.path}; ${from} may import ${allowed}`)];
}

function judgeInStore(source: Source, node: ts.Node, path: string): Finding[] {
  const [from, to] = [placeOf(source.path), placeOf(path)];
  if (from === undefined || to === undefined) {
    const message = `${from === undefined ? source.path : path} has no place; name it in storePlaces of ${HERE}`;
    return [findingAt(source, node, message)];
  }
  if (storePlaces.indexOf(to) <= storePlaces.indexOf(from)) return [];
  const message = `imports ${path}, but ${to} stands above ${from}; what both need belongs in ${from} or below it (${HERE})`;
  return [findingAt(source, node, message)];
}

/** Where a file of src/store stands: by itself, or with its folder. */
function placeOf(path: string): string | undefined {
  const inside = path.replace(/^src\/store\//, '');
  return (
    storePlaces.find((place) => place === inside) ?? storePlaces.find((place) => place === inside.replace(/[^/]*$/, ''))
  );
}

function layerOf(path: string): Layer | undefined {
  if (['src/errors.ts', 'src/limits.ts'].includes(path)) return 'ground';
  if (path === 'src/index.ts') return 'index';
  const [first, second] = path.split('/');
  if (first === 'projections' || first === 'scripts' || first === 'test') return first;
  if (first !== 'src') return undefined;
  if (tarFiles.test(path)) return 'tar';
  const folders: readonly Layer[] = [
    'model',
    'log',
    'compression',
    'archive',
    'store',
    'registry-client',
    'server',
    'cli',
  ];
  return folders.find((folder) => folder === second);
}
