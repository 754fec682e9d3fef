import { execFileSync } from 'node:child_process';
import { cp, link, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import { openStore } from '../../src/store/open/open-store.js';
import { rebuildStore } from '../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { countingProjection } from '../support/own-projections.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { archivePath } from '../store/fixture-archives.js';

/** Puts something at `path` that leads to what is in `outside`, a directory of somebody else. */
type Plant = (path: string, outside: string) => Promise<unknown>;

/**
 * Puts a name of `outside` where the store had its own file or folder, which goes there: the store
 * finds all it needs.
 */
const movedAway: Plant = async (path, outside) => {
  const place = join(outside, 'moved');
  if (await isThere(path)) await rename(path, place);
  else await writeFile(place, 'of somebody else');
  await symlink(place, path);
};
const secondName: Plant = async (path, outside) => {
  if ((await isThere(path)) && (await lstat(path)).isDirectory()) return movedAway(path, outside);
  await movedAway(path, outside);
  await rm(path);
  return link(join(outside, 'moved'), path);
};
const toFolder: Plant = async (path, outside) => {
  await rm(path, { recursive: true, force: true });
  await symlink(outside, path);
};
const toNothing: Plant = async (path, outside) => {
  await rm(path, { recursive: true, force: true });
  await symlink(join(outside, 'not there'), path);
};
const pipe: Plant = async (path) => {
  await rm(path, { recursive: true, force: true });
  execFileSync('mkfifo', [path]);
};
const device: Plant = async (path) => {
  await rm(path, { recursive: true, force: true });
  await symlink('/dev/full', path);
};

/**
 * A log that was moved to another disk, with a link in its place, is used where it is: LevelDB's
 * lock is there too.
 */
const MOVED = ['movedAway', 'secondName'];

const plants = { movedAway, secondName, toFolder, toNothing, pipe, device };

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** Names that a store does not have at every moment, or no longer. */
const PASSING = [
  'owner.json',
  'whole-tables.json',
  '.tmp-0123456789abcdef01234567',
  'log.rebuilding',
  'log.rebuilt',
  'log.damaged-1',
  'log.rehearsal-1-0123456789abcdef-01234567',
  'blobs/staging/0123456789abcdef01234567',
  `blobs/sha256/${'ab'.repeat(32)}`,
  'snapshots/.tmp-0123456789abcdef01234567',
  'snapshots/0000000000000001.views',
];
/** Names that LevelDB may give next. */
const NUMBERED = Array.from({ length: 12 }, (_, at) => `${at + 1}`.padStart(6, '0')).flatMap((number) => [
  ...['ldb', 'log', 'dbtmp'].map((end) => `log/${number}.${end}`),
  `log/MANIFEST-${number}`,
]);

let whole: string;
let own: string[];
test.before(async () => {
  whole = join(await mkdtemp(join(tmpdir(), 'imagelog-planted-')), 'store');
  await use(whole);
  own = (await readdir(whole, { recursive: true })).sort();
});
test.after.always(() => rm(dirname(whole), { recursive: true, force: true }));

/** Uses a store in every way that writes a file of it. */
async function use(directory: string): Promise<void> {
  await using store = await openStore(directory, { actor: 'tester', snapshotEvery: 1 });
  const name = `image ${store.log.head.seq}`;
  await store.load(archivePath('docker25-all.tar'));
  await store.create(imageConfig(name));
  const projection = await store.project(countingProjection('counted').projection);
  await store.snapshot();
  await store.checkpoint();
  for await (const _ of store.save(store.referenceEntries().map(({ reference }) => reference)));
  await store.delete(idNamed(name));
  projection.close();
}

/** What may fail, and only by an error of the store. */
async function tried(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (isStoreError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
}

/** Everything below a directory: bytes of files, and of what is not a file that it is there. */
async function below(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of await readdir(directory, { recursive: true })) {
    const path = join(directory, name);
    found.set(name, (await lstat(path)).isFile() ? (await readFile(path)).toString('latin1') : 'no file');
  }
  return found;
}

/**
 * Returns what of somebody else's was changed by a store in which something was planted at `path`;
 * undefined when nothing was.
 */
async function harm(t: ExecutionContext, path: string, kind: keyof typeof plants): Promise<string | undefined> {
  const place = await temporaryDirectory(t);
  const [store, outside] = [join(place, 'store'), join(place, 'outside')];
  await cp(whole, store, { recursive: true });
  await mkdir(outside);
  for (const name of ['1', '.tmp-own', 'ab'.repeat(32), '0000000000000001.views', 'own.projection'])
    await writeFile(join(outside, name), `${name} of somebody else`);
  await plants[kind](join(store, path), outside);
  const before = await below(outside);
  const outcomes = [
    await tried(use(store)),
    await tried(openStore(store, { readOnly: true }).then((reader) => reader.close())),
    await tried(verifyStore(store)),
    await tried(rebuildStore(store)),
    await tried(use(store)),
  ];
  const after = await below(outside);
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (name) => before.get(name) !== after.get(name),
  );
  return changed.length === 0 ? undefined : `${kind} at ${path} changed ${changed.join(', ')}: ${outcomes.join('; ')}`;
}

for (const kind of Object.keys(plants) as (keyof typeof plants)[]) {
  test.serial(
    `nothing outside is changed, and nothing waited for, by a store with this planted: ${kind}`,
    async (t) => {
      const harms: string[] = [];
      for (const path of [...own, ...PASSING].filter((each) => each !== 'log' || !MOVED.includes(kind)))
        harms.push(...[await harm(t, path, kind)].filter((each) => each !== undefined));
      t.deepEqual(harms, []);
    },
  );
}

for (const kind of ['movedAway', 'secondName'] as const) {
  test.serial(`LevelDB writes nothing over what stands under the names that it gives next: ${kind}`, async (t) => {
    const harms: string[] = [];
    for (const path of NUMBERED.filter((name) => !own.includes(name)))
      harms.push(...[await harm(t, path, kind)].filter((each) => each !== undefined));
    t.deepEqual(harms, []);
  });
}
