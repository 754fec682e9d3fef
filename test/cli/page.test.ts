import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_PAGE_BYTES } from '../../src/limits.js';
import { parseCheckpoint, verifyCheckpoint } from '../../src/log/checkpoint.js';
import { parseVerifierKey } from '../../src/log/note.js';
import type { EmbeddedLog } from '../../src/page/source.js';
import { archive, objectsOf, type Session, startSession } from './session.js';

interface Loaded extends Session {
  readonly path: (name: string) => string;
}

async function startLoaded(t: ExecutionContext): Promise<Loaded> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  return { ...session, path: (name) => join(session.folder, name) };
}

/** The facts of the log that stands in a page. */
function logIn(page: string): EmbeddedLog {
  const [, json = ''] = /<script type="application\/json" id="log">(.*?)<\/script>/s.exec(page) ?? [];
  return JSON.parse(json);
}

test('page writes one file that has the log and its checkpoint, and asks for nothing else', async (t) => {
  const { done, path } = await startLoaded(t);
  const said = await done('page', '-o', path('log.html'));
  const { size } = parseCheckpoint(await done('checkpoint'));
  t.is(said, `${path('log.html')} shows ${size} events\n`);
  const page = await readFile(path('log.html'), 'utf8');
  t.is(parseCheckpoint(logIn(page).checkpoint).size, size);
  t.like(logIn(page), { first: 1, recordBlocks: 1, leftOut: { contents: 0, limitBytes: MAX_PAGE_BYTES } });
  t.regex(page, /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-/);
  t.false(/https?:\/\/(?!www\.w3\.org)/.test(page.replace(/<script>.*<\/script>/s, '')));
  t.true((await stat(path('log.html'))).size < 300_000);
  const out = await done('page', '-o', '-');
  t.deepEqual(logIn(out), logIn(page));
});

test('page signs with a key, and has the verifier key', async (t) => {
  const { done, path } = await startLoaded(t);
  const verifier = (await done('key', path('log.key'))).trim();
  t.deepEqual(objectsOf(await done('page', '--json', '-o', path('log.html'), '--key', path('log.key'))), [
    { file: path('log.html'), events: 3, shown: 3, leftOutContents: 0 },
  ]);
  const { checkpoint, key } = logIn(await readFile(path('log.html'), 'utf8'));
  t.is(key, verifier);
  await t.notThrowsAsync(async () => verifyCheckpoint(parseCheckpoint(checkpoint), await parseVerifierKey(verifier)));
  // The signed checkpoint is the store's now; who has the verifier key needs no other.
  await done('page', '-o', path('again.html'), '--verifier', verifier);
  t.like(logIn(await readFile(path('again.html'), 'utf8')), { checkpoint, key: verifier });
});

test('page signs what was, too, and refuses a key that did not sign', async (t) => {
  const { done, run, path } = await startLoaded(t);
  const verifier = (await done('key', path('log.key'))).trim();
  await done('page', '--at', '@2', '-o', path('then.html'), '--key', path('log.key'));
  const { checkpoint, key } = logIn(await readFile(path('then.html'), 'utf8'));
  t.is(key, verifier);
  t.is(parseCheckpoint(checkpoint).size, 2);
  await t.notThrowsAsync(async () => verifyCheckpoint(parseCheckpoint(checkpoint), await parseVerifierKey(verifier)));
  await done('checkpoint', '--key', path('log.key'));
  await done('page', '-o', path('log.html'), '--verifier', verifier);
  const other = (await done('key', path('other.key'))).trim();
  const foreign = (await done('key', path('foreign.key'), '--name', 'example.com/other')).trim();
  await done('tag', 'tiny:1', 'tiny:2');
  for (const [given, code] of [
    [verifier, 'SIGNATURE_INVALID'],
    [other, 'SIGNATURE_INVALID'],
    [foreign, 'CHECKPOINT_FOREIGN'],
  ] as const) {
    const refused = await run('page', '-o', path('no.html'), '--verifier', given);
    t.is(refused.code, 4);
    t.true(refused.stderr.includes(code), refused.stderr);
  }
  await t.throwsAsync(stat(path('no.html')), { code: 'ENOENT' });
});

test('page is no larger than its limit, where it has more than the newest events', async (t) => {
  const { done, run, folder } = await startSession(t);
  const file = join(folder, 'log.html');
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('page', '-o', file);
  const whole = (await stat(file)).size;
  await done('page', '-o', file, '--limit', '100000');
  const least = (await stat(file)).size;
  for (let limit = least; limit < whole + 2_000; limit += 500) {
    const { code, stderr } = await run('page', '-o', file, '--limit', `${limit}`);
    t.is(code, 0);
    t.true((await stat(file)).size <= limit, `${limit}`);
    t.false(/newest events alone/.test(stderr), stderr);
  }
});

test('page shows the log as it was, and says what a limit leaves out', async (t) => {
  const { done, run, path, wait } = await startLoaded(t);
  wait(3_600_000);
  await done('tag', 'tiny:1', 'tiny:2');
  await done('page', '--at', '1h', '-o', path('log.html'));
  const then = parseCheckpoint(logIn(await readFile(path('log.html'), 'utf8')).checkpoint).size;
  t.is(then, parseCheckpoint(await done('checkpoint')).size - 1);
  const small = await run('page', '-o', path('small.html'), '--limit', '1');
  t.is(small.code, 0);
  t.regex(small.stderr, /the page may have 1 B \(--limit\): it has \d+ kB, with the newest events alone\n/);
  t.regex(small.stderr, /the page may have 1 B \(--limit\): it lacks one config or manifest/);
  t.is(logIn(await readFile(path('small.html'), 'utf8')).leftOut.contents, 1);
});

test('page needs a file to write', async (t) => {
  const { run, path } = await startLoaded(t);
  const none = await run('page');
  t.is(none.code, 2);
  t.regex(none.stderr, /name the file to write: -o log\.html/);
  const nowhere = await run('page', '-o', path('no/log.html'));
  t.is(nowhere.code, 3);
  t.regex(nowhere.stderr, /FILE_NOT_FOUND/);
});
