import { execFile } from 'node:child_process';
import { chmod, cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { parseCheckpoint, parseProof, signCheckpoint, verifyCheckpoint } from '../../src/log/checkpoint.js';
import { generatePrivateKey, parsePrivateKey, parseVerifierKey } from '../../src/log/note.js';
import { understand } from './grammar.js';
import { archive, objectsOf, type Session, startSession } from './session.js';

const ORIGIN = 'example.com/images';

interface Signed extends Session {
  readonly key: string;
  readonly verifier: string;
  readonly path: (name: string) => string;
}

/** A session whose store was loaded with a key, and signed. */
async function startSigned(t: ExecutionContext): Promise<Signed> {
  const session = await startSession(t);
  const path = (name: string): string => join(session.folder, name);
  const key = path('log.key');
  const verifier = (await session.done('key', key, '--name', ORIGIN)).trim();
  await session.done('load', '--quiet', '--key', key, archive('skopeo-tiny-1.tar'));
  return { ...session, key, verifier, path };
}

test('key makes a key for its owner alone, prints what others verify with, and prints that again', async (t) => {
  const { done, run, key, verifier } = await startSigned(t);
  t.regex(verifier, /^example\.com\/images\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$/);
  t.is((await stat(key)).mode & 0o777, 0o600);
  t.is(await done('key', '--show', key), `${verifier}\n`);
  t.deepEqual(objectsOf(await done('key', '--show', '--json', key)), [{ file: key, verifierKey: verifier }]);
  const again = await run('key', key, '--name', ORIGIN);
  t.is(again.code, 1);
  t.regex(again.stderr, /\(FILE_EXISTS\)\nhint: name another file/);
  t.is(again.stdout, '');
});

test('key takes the name of the store, and asks for one where there is no store', async (t) => {
  const { done, run, store, folder } = await startSession(t);
  const early = await run('key', join(folder, 'a.key'));
  t.is(early.code, 2);
  t.regex(early.stderr, /name the log with --name/);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const { origin } = JSON.parse(await readFile(join(store, 'imagelog.json'), 'utf8')) as { origin: string };
  t.true((await done('key', join(folder, 'a.key'))).startsWith(`${origin}+`));
  t.is((await run('key', join(folder, 'b.key'), '--name', 'a b')).code, 1);
  t.deepEqual((await readdir(folder)).sort(), ['a.key', 'store']);
});

test('checkpoint prints what the store signed, and with --json what it says', async (t) => {
  const { done, store, verifier } = await startSigned(t);
  const text = await done('checkpoint');
  t.is(text, await readFile(join(store, 'checkpoint'), 'utf8'));
  const checkpoint = parseCheckpoint(text);
  await t.notThrowsAsync(verifyCheckpoint(checkpoint, await parseVerifierKey(verifier)));
  const [object] = objectsOf(await done('checkpoint', '--json'));
  t.deepEqual(object, {
    origin: ORIGIN,
    size: checkpoint.size,
    root: text.split('\n')[2],
    signedBy: [ORIGIN],
    text,
  });
});

test('a key is named by an option before or after the command, or by the environment', async (t) => {
  const { done, runIn, run, key, store } = await startSigned(t);
  const signatures = async (): Promise<number> =>
    parseCheckpoint(await readFile(join(store, 'checkpoint'), 'utf8')).signatures.length;
  await done('tag', '--quiet', 'tiny:1', 'a:1');
  t.is(await signatures(), 0, 'without the key nothing is signed');
  await done('--key', key, 'checkpoint');
  t.is(await signatures(), 1);
  await done('tag', '--quiet', 'tiny:1', 'a:2');
  t.is((await runIn({ env: { IMAGELOG_KEY: key } }, 'tag', '--quiet', 'tiny:1', 'a:3')).code, 0);
  t.is(await signatures(), 1);
  const missing = await run('checkpoint', '--key', `${key}.missing`);
  t.is(missing.code, 3);
  t.regex(missing.stderr, /\(FILE_NOT_FOUND\)/);
});

test('prove writes a proof, and check-proof says what it proves and who vouches for it', async (t) => {
  const { done, run, key, verifier, path } = await startSigned(t);
  const file = path('tiny.tlog-proof');
  const size = parseCheckpoint(await done('checkpoint')).size;
  t.is(await done('prove', '2', '-o', file), `${file} proves event 2 of ${ORIGIN}, of ${size} events\n`);
  for (const seq of ['2', '#2', '@2']) {
    t.is(await done('prove', seq), await readFile(file, 'utf8'), 'the standard output has the same bytes');
  }
  const says = `event 2 is in the log ${ORIGIN} of ${size} events`;
  for (const given of [verifier, key]) {
    const { stdout, stderr } = await run('check-proof', file, '--key', given);
    t.is(stdout.split('\n')[0], `${says}, signed by its key`);
    t.regex(stdout, /\n {2}2 │ 2026-01-31 12:00:00 {2}tester/);
    t.is(stderr, '');
  }
  const [object] = objectsOf(await done('check-proof', file, '--key', verifier, '--json'));
  t.like(object, { seq: 2, origin: ORIGIN, size, vouchedBy: 'key', event: { seq: 2, actor: 'tester' } });
  t.is(await done('check-proof', '--quiet', file, '--key', verifier), '');
});

test('check-proof needs no store, and says so when nobody vouches for the proof', async (t) => {
  const { done, run, runIn, path } = await startSigned(t);
  const proof = await done('prove', '1');
  await writeFile(path('p'), proof);
  const elsewhere = { env: { IMAGELOG_STORE: path('nowhere') } };
  const alone = await runIn(elsewhere, 'check-proof', path('p'));
  t.is(alone.code, 0);
  t.regex(alone.stdout, /, if its checkpoint is true\n/);
  t.regex(alone.stderr, /notice: .* has a signature that was not checked: anyone can make such a proof/);
  const piped = await runIn({ ...elsewhere, stdin: Buffer.from(proof) }, 'check-proof', '-');
  t.is(piped.stdout, alone.stdout);
  await writeFile(path('c'), await done('checkpoint'));
  const trusted = await run('check-proof', path('p'), '--checkpoint', path('c'));
  t.regex(trusted.stdout, /, as you trust it\n/);
  t.is(trusted.stderr, '');
});

test('a proof is made for the checkpoint that somebody holds', async (t) => {
  const { done, run, verifier, path } = await startSigned(t);
  await writeFile(path('old'), await done('checkpoint'));
  await done('tag', '--quiet', 'tiny:1', 'a:1');
  const later = await done('prove', '1');
  await writeFile(path('later'), later);
  const unfit = await run('check-proof', path('later'), '--checkpoint', path('old'));
  t.is(unfit.code, 4);
  t.regex(unfit.stderr, /\(PROOF_REJECTED\)\nhint: do not believe it/);
  await done('prove', '1', '--checkpoint', path('old'), '-o', path('fit'));
  t.regex(await done('check-proof', path('fit'), '--checkpoint', path('old'), '--key', verifier), /signed by its key/);
  const beyond = await run('prove', '4', '--checkpoint', path('old'));
  t.is(beyond.code, 3);
  t.regex(beyond.stderr, /the checkpoint is of 3 events, and has no event 4 \(EVENT_NOT_FOUND\)/);
});

test('what does not hold is refused by name, with exit code 4', async (t) => {
  const { done, run, verifier, path } = await startSigned(t);
  const proof = await done('prove', '2');
  const other = await parsePrivateKey(await generatePrivateKey(ORIGIN));
  const foreign = await parsePrivateKey(await generatePrivateKey('example.com/other'));
  const signed = await signCheckpoint(parseProof(proof).checkpoint, other);
  for (const [code, text, key] of [
    ['PROOF_INVALID', proof.slice(0, proof.length / 2), verifier],
    ['PROOF_INVALID', '', verifier],
    ['PROOF_INVALID', proof.replace(/^extra .*\n/m, ''), verifier],
    ['PROOF_REJECTED', proof.replace('index 1', 'index 2'), verifier],
    ['PROOF_REJECTED', proof, foreign.verifierKey],
    ['SIGNATURE_INVALID', proof, other.verifierKey],
    ['SIGNATURE_INVALID', proof.slice(0, proof.lastIndexOf('\n\n') + 1), verifier],
    ['SIGNATURE_INVALID', `${proof.slice(0, proof.indexOf('\n\n') + 2)}${signed}`, verifier],
  ] as const) {
    await writeFile(path('p'), text);
    const { code: exit, stdout, stderr } = await run('check-proof', path('p'), '--key', key);
    t.deepEqual([exit, stdout], [4, '']);
    t.regex(stderr, new RegExp(`\\(${code}\\)\nhint: `));
  }
});

test('a record is proved that is given beside the proof', async (t) => {
  const { done, run, verifier, path } = await startSigned(t);
  const proof = await done('prove', '2');
  const { extra = new Uint8Array() } = parseProof(proof);
  await writeFile(path('p'), proof.replace(/^extra .*\n/m, ''));
  await writeFile(path('r'), extra);
  t.regex(await done('check-proof', path('p'), '--key', verifier, '--record', path('r')), /^event 2 is in/);
  await writeFile(path('r'), Buffer.concat([extra, extra]));
  t.is((await run('check-proof', path('p'), '--key', verifier, '--record', path('r'))).code, 4);
});

test('a key that others can read, a malformed one, or one of another log is refused', async (t) => {
  const { run, done, key, path } = await startSigned(t);
  await chmod(key, 0o644);
  for (const argv of [
    ['checkpoint', '--key', key],
    ['key', '--show', key],
    ['tag', 'tiny:1', 'a:1', '--key', key],
  ]) {
    const { code, stderr } = await run(...argv);
    t.is(code, 1);
    t.regex(stderr, /\(KEY_EXPOSED\)\nhint: run `chmod 600 \/\S*log\.key`/);
  }
  await chmod(key, 0o600);
  await done('key', path('other'), '--name', 'example.com/other');
  t.regex((await run('checkpoint', '--key', path('other'))).stderr, /\(KEY_FOREIGN\)/);
  await writeFile(path('pem'), '-----BEGIN PRIVATE KEY-----\n', { mode: 0o600 });
  t.regex((await run('checkpoint', '--key', path('pem'))).stderr, /\(KEY_INVALID\)/);
  await writeFile(path('p'), await done('prove', '1'));
  t.regex((await run('check-proof', path('p'), '--key', path('pem'))).stderr, /\(KEY_INVALID\)/);
  t.is((await run('check-proof', path('nothing'))).code, 3);
});

test('a store and its copy are not both signed', async (t) => {
  const { run, done, key, store, path } = await startSigned(t);
  await cp(store, path('copy'), { recursive: true });
  await done('tag', '--quiet', 'tiny:1', 'a:1', '--key', key);
  const { code, stderr } = await run('--store', path('copy'), 'tag', 'tiny:1', 'b:1', '--key', key);
  t.is(code, 4);
  t.regex(
    stderr,
    /\(CHECKPOINT_FORKED\)\nhint: this store is not, or is an older copy of, the one that the key signed/,
  );
  t.is((await run('--store', path('copy'), 'resolve', 'b:1')).code, 3, 'nothing was written');
});

test('the commands take only what they know', async (t) => {
  for (const argv of [['key'], ['prove'], ['prove', '0'], ['prove', 'x'], ['check-proof'], ['checkpoint', 'x']]) {
    t.is((await understand(...argv)).code, 2, argv.join(' '));
  }
  t.is((await understand('check-proof', 'f', '--key', '')).code, 2);
  t.is((await understand('at', '2', 'checkpoint')).code, 2, 'not in the past');
  t.like(await understand('prove', '7', '-o', 'f', '--key', 'k'), { action: 'prove', args: [7, { output: 'f' }] });
  t.like(await understand('check-proof', 'f', '--key', 'v'), { action: 'check-proof', args: ['f', { key: 'v' }] });
});

test('the whole program makes and uses a key without a warning of the system', async (t) => {
  const { path } = await startSigned(t);
  const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, 'key', path('b.key'), '--name', 'b']);
  t.regex(stdout, /^b\+/);
  t.is(stderr, '');
});
