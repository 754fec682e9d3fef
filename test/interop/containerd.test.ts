import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ArtifactEntry } from '../../projections/artifacts.js';
import { canonicalReference } from '../../src/model/reference.js';
import { testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startContainerd } from './daemon.js';
import {
  FORMATS,
  type Format,
  hostArchitecture,
  loaded,
  nameFacts,
  NEW_ARCHIVES,
  newArchive,
  saved,
} from './round-trip.js';
import { runProgram } from './run-program.js';

const daemon = await startContainerd();
const withContainerd = testOrSkip(daemon.reason);

if (daemon.reason === undefined) test.after.always(() => daemon.stop());

type Ctr = (...args: readonly string[]) => Promise<string>;

let namespaces = 0;

/** The images of a namespace that nobody else has. */
function newNamespace(): Ctr {
  if (daemon.reason !== undefined) throw new Error(daemon.reason);
  namespaces += 1;
  const { socket } = daemon;
  const namespace = `test-${namespaces}`;
  return (...args) => runProgram('ctr', '--address', socket, '--namespace', namespace, 'images', ...args);
}

/** A row of `ctr images ls`. */
interface Row {
  readonly name: string;
  readonly mediaType: string;
  readonly digest: string;
  readonly platforms: readonly string[];
}

async function listed(ctr: Ctr): Promise<Row[]> {
  const [, ...lines] = (await ctr('ls')).trim().split('\n');
  return lines.map((line) => {
    const [name = '', mediaType = '', digest = '', , , platforms = ''] = line.split(/\s+/);
    return { name, mediaType, digest, platforms: platforms.split(',') };
  });
}

async function read(path: string, ...options: readonly string[]): Promise<Row[]> {
  const ctr = newNamespace();
  await ctr('import', ...options, path);
  return listed(ctr);
}

/** Attestations are of no platform. */
function imagePlatforms({ platforms }: Row): string[] {
  return [
    ...new Set(platforms.filter((each) => each !== 'unknown/unknown').map((each) => each.split('/', 2).join('/'))),
  ];
}

/** What an artifact is, without when it came. */
function withoutEvents({ seq: _, time: __, ...entry }: ArtifactEntry): Omit<ArtifactEntry, 'seq' | 'time'> {
  return entry;
}

const readsNew = async (t: ExecutionContext, archive: string, format: Format): Promise<void> => {
  const store = await loaded(t, newArchive(archive));
  const facts = nameFacts(store);
  t.true(facts.length > 0);
  const ctr = newNamespace();
  await ctr('import', '--all-platforms', await saved(t, store, format));
  const rows = (await listed(ctr)).filter(({ name }) => facts.some((fact) => canonicalReference(fact.name) === name));
  t.deepEqual(
    rows.map((row) => ({ name: row.name, digest: row.digest, platforms: imagePlatforms(row) })),
    facts.map(({ name, digest, platforms }) => ({ name: canonicalReference(name), digest, platforms })),
  );
  const again = join(await temporaryDirectory(t), 'again.tar');
  await ctr('export', '--all-platforms', again, ...rows.map(({ name }) => name));
  const back = await loaded(t, again);
  t.deepEqual(nameFacts(back), facts);
  t.deepEqual([...back.map().keys()].sort(), [...store.map().keys()].sort());
  // An index is exported with what it contains, not with what refers to it.
  const found = back.artifacts().map(withoutEvents);
  const digests = new Set(found.map(({ artifact }) => artifact.digest));
  t.deepEqual(
    found,
    store
      .artifacts()
      .map(withoutEvents)
      .filter(({ artifact }) => digests.has(artifact.digest)),
  );
};

for (const archive of NEW_ARCHIVES) {
  for (const format of FORMATS) {
    const title = `containerd reads ${archive} as we save it in the ${format} format, and what it exports loads to the same`;
    withContainerd(title, readsNew, archive, format);
  }
}

const other = hostArchitecture === 'arm64' ? 'amd64' : 'arm64';

const EXPORTS: Readonly<Record<string, readonly [options: readonly string[], importOptions: readonly string[]]>> = {
  'all platforms': [['--all-platforms'], ['--all-platforms']],
  'the platform of the host alone': [[], []],
  'another platform alone': [
    ['--platform', `linux/${other}`],
    ['--platform', `linux/${other}`],
  ],
  'all platforms without manifest.json': [['--all-platforms', '--skip-manifest-json'], ['--all-platforms']],
};

const returns = async (
  t: ExecutionContext,
  [options, importOptions]: readonly [readonly string[], readonly string[]],
  format: Format,
): Promise<void> => {
  const ctr = newNamespace();
  const name = 'docker.io/nw/multi:1';
  await ctr('import', '--all-platforms', await saved(t, await loaded(t, newArchive('cs-multi')), 'oci'));
  const original = join(await temporaryDirectory(t), 'original.tar');
  await ctr('export', ...options, original, name);
  const store = await loaded(t, original);
  const before = await read(original, ...importOptions);
  t.is(before.length, 1);
  t.deepEqual(await read(await saved(t, store, format), ...importOptions), before);
};

for (const [title, options] of Object.entries(EXPORTS)) {
  for (const format of FORMATS) {
    withContainerd(
      `containerd gets back ${title} that it exported, by way of the ${format} format`,
      returns,
      options,
      format,
    );
  }
}

withContainerd('containerd gets back several names that it exported', async (t) => {
  const ctr = newNamespace();
  const store = await loaded(t, newArchive('cs-shared'), newArchive('classic-tags'));
  await ctr('import', '--all-platforms', await saved(t, store, 'docker'));
  const before = await listed(ctr);
  const original = join(await temporaryDirectory(t), 'original.tar');
  await ctr('export', '--all-platforms', original, ...before.map(({ name }) => name));
  const again = await loaded(t, original);
  t.deepEqual(nameFacts(again), nameFacts(store));
  for (const format of FORMATS) t.deepEqual(await read(await saved(t, again, format), '--all-platforms'), before);
});
