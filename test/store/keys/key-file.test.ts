import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { MAX_KEY_FILE_BYTES } from '../../../src/limits.js';
import { generatePrivateKey, parseVerifierKey } from '../../../src/log/note.js';
import { createKeyFile, readKeyFile, readKeyText } from '../../../src/store/keys.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { bytesOf } from '../../support/text-bytes.js';

test('a new key is for its owner alone, and gives what others verify with', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'log.key');
  const verifierKey = await createKeyFile(path, 'example.com/log');
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(directory), ['log.key'], 'nothing else is left');
  t.regex(await readFile(path, 'utf8'), /^PRIVATE\+KEY\+example\.com\/log\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*\n$/);
  const key = await readKeyFile(path);
  t.is(key.verifierKey, verifierKey);
  const verifier = await parseVerifierKey(verifierKey);
  t.true(await verifier.verify(bytesOf('hi'), await key.sign(bytesOf('hi'))));
});

test('a key is never written over another, nor over what an earlier one signed', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'log.key');
  await createKeyFile(path, 'a');
  const text = await readFile(path, 'utf8');
  await rejection(t, 'FILE_EXISTS', createKeyFile(path, 'a'));
  t.is(await readFile(path, 'utf8'), text);
  await mkdir(join(directory, 'old.key.signed'));
  await rejection(t, 'FILE_EXISTS', createKeyFile(join(directory, 'old.key'), 'a'));
  t.deepEqual((await readdir(directory)).sort(), ['log.key', 'old.key.signed']);
});

test('of keys made at the same time in the same file, one is made', async (t) => {
  const path = join(await temporaryDirectory(t), 'log.key');
  const made = await Promise.allSettled(Array.from({ length: 8 }, () => createKeyFile(path, 'a')));
  const keys = made.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
  t.deepEqual(keys, [(await readKeyFile(path)).verifierKey]);
});

for (const mode of [0o640, 0o604, 0o620, 0o644, 0o660, 0o666, 0o777, 0o610]) {
  test(`a private key of mode ${mode.toString(8)} is exposed`, async (t) => {
    const path = join(await temporaryDirectory(t), 'log.key');
    await createKeyFile(path, 'a');
    await chmod(path, mode);
    const error = await rejection(t, 'KEY_EXPOSED', readKeyFile(path));
    t.is(error.data['mode'], `0${mode.toString(8)}`);
    await rejection(t, 'KEY_EXPOSED', readKeyText(path, 'any'));
  });
}

test('a private key that nobody may write is read', async (t) => {
  const path = join(await temporaryDirectory(t), 'log.key');
  const verifierKey = await createKeyFile(path, 'a');
  await chmod(path, 0o400);
  t.is((await readKeyFile(path)).verifierKey, verifierKey);
});

test('a private key is read through a link, and without its line end', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'key'), await generatePrivateKey('a'), { mode: 0o600 });
  await symlink('key', join(directory, 'link'));
  t.is((await readKeyFile(join(directory, 'link'))).name, 'a');
});

test('a verifier key may be read by everybody, and is not a private key', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'log.pub');
  const verifierKey = await createKeyFile(join(directory, 'log.key'), 'a');
  await writeFile(path, `${verifierKey}\n`, { mode: 0o644 });
  t.is(await readKeyText(path, 'any'), verifierKey);
  await chmod(path, 0o600);
  await rejection(t, 'KEY_INVALID', readKeyFile(path));
});

test('what is not a key is refused by name', async (t) => {
  const directory = await temporaryDirectory(t);
  await rejection(t, 'FILE_NOT_FOUND', readKeyFile(join(directory, 'none')));
  await rejection(t, 'KEY_INVALID', readKeyFile(directory));
  for (const [name, content] of [
    ['empty', ''],
    ['pem', '-----BEGIN PRIVATE KEY-----\n'],
    ['two lines', `${await generatePrivateKey('a')}\n\n`],
    ['no UTF-8', Uint8Array.of(0xff)],
    ['large', 'x'.repeat(MAX_KEY_FILE_BYTES + 1)],
  ] as const) {
    await writeFile(join(directory, name), content, { mode: 0o600 });
    await rejection(t, 'KEY_INVALID', readKeyFile(join(directory, name)), name);
  }
});
