import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { parseCheckpoint, verifyCheckpoint } from '../../../src/log/checkpoint.js';
import { parseVerifierKey } from '../../../src/log/note.js';
import { type CheckpointSigner, createKeyFile, readSigner, SigningMemory } from '../../../src/store/keys.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { branchOf, ORIGIN } from './branches.js';

async function newKey(t: ExecutionContext): Promise<{ readonly path: string; readonly signer: CheckpointSigner }> {
  const path = join(await temporaryDirectory(t), 'log.key');
  await createKeyFile(path, ORIGIN);
  return { path, signer: await readSigner(path) };
}

const main = branchOf('main');
const forked = branchOf('fork', 5);

test('what a log signs as it grows verifies, and is remembered', async (t) => {
  const { path, signer } = await newKey(t);
  const verifier = await parseVerifierKey(signer.verifierKey);
  for (const size of [0, 1, 5, 5, 9]) {
    const checkpoint = parseCheckpoint(await signer.sign(main.checkpoint(size), main.beginsWith(20)));
    t.is(checkpoint.size, size);
    await t.notThrowsAsync(verifyCheckpoint(checkpoint, verifier));
  }
  const names = (await readdir(`${path}.signed`)).sort();
  t.is(names.length, 2, 'the last two are kept');
  t.is(parseCheckpoint(await readFile(join(`${path}.signed`, names[1] as string))).size, 9);
});

test('a log that lost its end is not signed for, until it is as it was', async (t) => {
  const { signer } = await newKey(t);
  await signer.sign(main.checkpoint(9), main.beginsWith(9));
  const error = await rejection(t, 'CHECKPOINT_FORKED', signer.sign(main.checkpoint(7), main.beginsWith(7)));
  t.is(error.data['size'], 9);
  await rejection(t, 'CHECKPOINT_FORKED', signer.check(main.beginsWith(7)));
  await t.notThrowsAsync(signer.check(main.beginsWith(9)));
  await t.notThrowsAsync(signer.sign(main.checkpoint(10), main.beginsWith(10)));
});

test('of a log and its fork, the key signs the one that it signed first', async (t) => {
  const { path, signer } = await newKey(t);
  await signer.sign(main.checkpoint(5), main.beginsWith(5));
  const second = await readSigner(path);
  await second.sign(forked.checkpoint(6), forked.beginsWith(6));
  await rejection(t, 'CHECKPOINT_FORKED', signer.sign(main.checkpoint(6), main.beginsWith(9)));
  await rejection(t, 'CHECKPOINT_FORKED', signer.sign(main.checkpoint(20), main.beginsWith(20)));
});

test('a part of what was signed is signed again without another memory', async (t) => {
  const { path, signer } = await newKey(t);
  await signer.sign(main.checkpoint(9), main.beginsWith(9));
  const text = await signer.sign(main.checkpoint(4), main.beginsWith(9));
  t.is(parseCheckpoint(text).size, 4);
  t.deepEqual(await readdir(`${path}.signed`), ['1']);
});

test('a checkpoint of another log is not signed', async (t) => {
  const { signer } = await newKey(t);
  await rejection(t, 'CHECKPOINT_FOREIGN', signer.sign({ ...main.checkpoint(1), origin: 'other' }, main.beginsWith(1)));
});

test('with a memory that is damaged nothing is signed', async (t) => {
  const { path, signer } = await newKey(t);
  await signer.sign(main.checkpoint(3), main.beginsWith(3));
  await writeFile(join(`${path}.signed`, '1'), 'junk');
  await rejection(t, 'CHECKPOINT_INVALID', signer.sign(main.checkpoint(4), main.beginsWith(4)));
});

test('nothing is signed that could not be remembered', async (t) => {
  const { path, signer } = await newKey(t);
  await writeFile(`${path}.signed`, 'a file where the folder should be');
  const error = await t.throwsAsync(signer.sign(main.checkpoint(3), main.beginsWith(3)));
  t.regex(String(error), /log\.key\.signed/);
});

test('the second to remember learns so, even after the numbers that it saw are gone', async (t) => {
  const { path } = await newKey(t);
  const [slow, quick] = [new SigningMemory(path), new SigningMemory(path)];
  t.true(await slow.advance(undefined, main.checkpoint(1)));
  const seen = await slow.last();
  for (let size = 2; size <= 8; size++) {
    t.true(await quick.advance(await quick.last(), main.checkpoint(size)));
    t.false(await slow.advance(seen, main.checkpoint(20)), `${size}`);
    t.is((await quick.last())?.checkpoint.size, size);
  }
  t.false(await slow.advance(undefined, main.checkpoint(20)));
});

test('what a killed signer left is skipped', async (t) => {
  const { path, signer } = await newKey(t);
  await signer.sign(main.checkpoint(3), main.beginsWith(3));
  await writeFile(join(`${path}.signed`, '.tmp-1234'), 'half');
  await t.notThrowsAsync(signer.sign(main.checkpoint(4), main.beginsWith(4)));
  await rm(join(`${path}.signed`, '.tmp-1234'));
});

test('two processes with one key and two forks never both have a signature beyond the fork', async (t) => {
  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    const { path } = await newKey(t);
    const child = fileURLToPath(new URL('./children/sign-branch.js', import.meta.url));
    const signed = await Promise.all(
      ['left', 'right'].map(async (branch) => {
        const process = fork(child, [path, branch]);
        const [sizes] = (await once(process, 'message')) as [number[]];
        await once(process, 'exit');
        return sizes;
      }),
    );
    const beyond = signed.filter((sizes) => sizes.some((size) => size > 5));
    t.is(beyond.length, 1, `round ${round}: ${JSON.stringify(signed)}`);
  }
});
