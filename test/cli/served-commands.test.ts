import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { READING } from '../support/reading-commands.js';
import { serveHere } from './serve-here.js';
import { archive, ids, type Ran, type Session, SESSION_START, startSession } from './session.js';

/** Commands that read, beside those of every reader. */
const MORE: readonly (readonly string[])[] = [
  ['images'],
  ['images', '--json'],
  ['images', '--all', '--no-trunc'],
  ['images', '--at', '1'],
  ['images', '--format', '{{.ID}}'],
  ['images', '--filter', 'reference=tiny:*'],
  ['images', '--quiet'],
  ['search', 'bd'],
  ['search', '--json', 'bd'],
  ['inspect', '--json', 'tiny:1'],
  ['history', '--json', 'tiny:1'],
  ['meta', 'tiny:1'],
  ['meta', 'tiny:1', 'owner'],
  ['refs', '*:1', '--json'],
  ['log', '--json'],
  ['log', '--events'],
  ['log', '--oneline'],
  ['log', '--format', 'csv'],
  ['log', '--actor', 'tester'],
  ['log', '--since', '2026-01-31', '--utc'],
  ['log', '--grep', 'first'],
  ['diff', '1', 'now', '--json'],
  ['at', 'yesterday', 'images'],
  ['at', '3', 'inspect', 'tiny:1'],
  ['consumers', '--json'],
  ['prove', '1', '--json'],
  ['checkpoint', '--json'],
  ['prune'],
  ['prune', '--json'],
  ['save', 'tiny:1'],
  ['save', 'tiny:1', '--format', 'oci'],
  ['stats', '--json'],
];

/** Command lines that fail, each in its way. */
const FAILING: readonly (readonly string[])[] = [
  ['inspect', 'nothing:1'],
  ['resolve', 'gone:1'],
  ['resolve', '--at', '999', 'tiny:1'],
  ['images', '--at', 'soon'],
  ['images', '--no-such-option'],
  ['images', 'too', 'many'],
  ['log', '--limit', '0'],
  ['log', '--follow', '--reverse'],
  ['save', 'nothing:1'],
  ['save', 'nothing:1', '-o', '/tmp/never.tar'],
  ['save', 'tiny:1', '-o', '/no/such/folder/a.tar'],
  ['save', 'tiny:1', '-o', '/'],
  ['prove', '99'],
  ['prove', '1', '--checkpoint', '/no/such/file'],
  ['meta', 'tiny:1', 'nokey'],
  ['nonsense'],
  ['images', '--wait', 'soon'],
];

/** What writes, in an order that leaves something to write. `@` stands for a folder. */
const WRITING: readonly (readonly string[])[] = [
  ['load', archive('docker25-all.tar')],
  ['load', '--json', archive('skopeo-twice-1.tar'), archive('oci-all.tar.gz'), '--reason', 'more'],
  ['load', '--quiet', '--tag', 'named:1', archive('skopeo-tiny-1.tar')],
  ['load', '/no/such/file.tar'],
  ['load', archive('.')],
  ['load', '--no-overwrite', '--tag', 'gone:1', archive('skopeo-tiny-1.tar')],
  ['tag', 'tiny:1', 'a:1', '--actor', 'ann', '--request-id', 'b-7'],
  ['tag', 'nothing:1', 'a:1'],
  ['tag', 'tiny:1'],
  ['untag', 'a:1'],
  ['untag', 'a:1'],
  ['meta', 'tiny:1', 'color=blue'],
  ['meta', 'tiny:1', 'list', '--file', archive('expected.json')],
  ['meta', 'tiny:1', 'list', '--delete'],
  ['meta', 'tiny:1', '--json'],
  ['rm', 'nothing:1'],
  ['rm', '--force', ids.twice],
  ['erase', 'sha256:00'],
  ['erase', `sha256:${'0'.repeat(64)}`, '--reason', 'leaked'],
  ['prune', '--yes'],
  ['consumers', 'reset', 'nobody@1'],
  ['consumers', 'rm', 'nobody@1'],
  ['verify', '--against', '/no/such/file'],
  ['verify'],
  ['verify', '--fast'],
  ['save', 'tiny:1', '-o', '@/saved.tar'],
  ['prove', '2', '-o', '@/no/such/folder/proof'],
  ['log', '--events', '--json'],
  ['images', '--all'],
];

const CLOCK = { now: () => SESSION_START };

async function prepare(t: ExecutionContext): Promise<Session> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'), '--reason', 'the first');
  await session.done('tag', 'tiny:1', 'gone:1');
  await session.done('untag', 'gone:1');
  await session.done('meta', 'tiny:1', 'owner=ann');
  return session;
}

test('commands that read print the same in a server as with the files, in a pipe and on a terminal', async (t) => {
  const session = await prepare(t);
  const served = await serveHere(t, session.store, { store: CLOCK });
  const terminal = { columns: 100, env: { IMAGELOG_PAGER: '', TERM: 'xterm' } };
  // Another process cannot verify the files of an open store.
  const reading = [...READING, ...MORE].filter(([name]) => name !== 'verify');
  for (const argv of reading) {
    for (const surroundings of [{}, terminal]) {
      const local = await session.runIn(surroundings, ...argv);
      t.deepEqual(await session.runIn({ ...surroundings, isAnywhere: true }, ...argv), local, argv.join(' '));
      if (surroundings !== terminal) t.is(local.code, 0, `${argv.join(' ')}: ${local.stderr}`);
    }
  }
  t.is(served.ran(), 2 * reading.length, 'each ran in the server');
  t.deepEqual(served.failures, []);
});

test('commands that fail print the same in a server, with the same exit codes', async (t) => {
  const session = await prepare(t);
  const served = await serveHere(t, session.store, { store: CLOCK });
  const codes = new Set<number>();
  for (const argv of FAILING) {
    const local = await session.run(...argv);
    t.deepEqual(await session.runIn({ isAnywhere: true }, ...argv), local, argv.join(' '));
    codes.add(local.code);
  }
  t.deepEqual([...codes].sort(), [1, 2, 3]);
  t.deepEqual(served.failures, []);
});

test('commands that write do and print the same in a server as in another store', async (t) => {
  const [own, other] = [await prepare(t), await prepare(t)];
  const served = await serveHere(t, other.store, { store: CLOCK });
  for (const argv of WRITING) {
    const typed = (folder: string): string[] => argv.map((word) => word.replace('@', folder));
    const local = await own.run(...typed(own.folder));
    const remote = await other.runIn({ isAnywhere: true }, ...typed(other.folder));
    const told = (ran: Ran, folder: string): object => {
      // Each close of a store writes a snapshot, and the server's stays open. Events say that a server wrote them.
      const plain = (text: string): string =>
        text
          .replaceAll(folder, '@')
          .replace(/\d+ snapshots/, 'snapshots')
          .replaceAll(/"via":"command","agent":"[^"]*",/g, '');
      return { code: ran.code, stdout: plain(ran.stdout), stderr: plain(ran.stderr) };
    };
    t.deepEqual(told(remote, other.folder), told(local, own.folder), argv.join(' '));
  }
  t.is(served.ran(), WRITING.length);
  t.deepEqual(await readFile(join(other.folder, 'saved.tar')), await readFile(join(own.folder, 'saved.tar')));
  t.deepEqual(served.failures, []);
});
