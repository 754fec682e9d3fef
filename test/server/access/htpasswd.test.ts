import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  ACCESS_FILE_CHECK_MS,
  MAX_ACCESS_FILE_BYTES,
  MAX_ACTOR_BYTES,
  MAX_BCRYPT_COST,
  MAX_KEPT_LOGINS,
  MAX_WAITING_LOGINS,
} from '../../../src/limits.js';
import { StoreError } from '../../../src/errors.js';
import { parseHtpasswd, Passwords, type Users } from '../../../src/server/access/passwords.js';
import { WatchedFile } from '../../../src/server/access/watched-file.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { htpasswdLines } from './credentials.js';

const parse = (text: string): Users => parseHtpasswd(Buffer.from(text));
const hash = htpasswdLines.alice.slice('alice:'.length);

test('a users file has a line for each user, and comments', (t) => {
  const users = parse(`# users\r\n\n${htpasswdLines.alice}\r\n  ${htpasswdLines.zoë}\n#alice:x\n`);
  t.deepEqual([...users.keys()], ['alice', 'zoë']);
  t.is(users.get('alice'), hash);
});

test('an empty users file has nobody', (t) => t.is(parse('').size, 0));

test('a name is in NFC', (t) => t.deepEqual([...parse(`zoe\u0308:${hash}`).keys()], ['zo\u00eb']));

for (const prefix of ['$2a$', '$2b$', '$2y$']) {
  test(`hashes that begin with ${prefix} are taken`, (t) => {
    t.is(
      parse(`a:${hash.replace('$2y$', prefix)}`)
        .get('a')
        ?.slice(0, 4),
      prefix,
    );
  });
}

const refused = test.macro({
  title: (title = '') => `a users file with ${title} is refused, naming the line and no secret`,
  exec: (t: ExecutionContext, line: string, why: RegExp) => {
    const { message, data } = storeError(t, 'ACCESS_INVALID', () => parse(`# first\n${htpasswdLines.zoë}\n${line}\n`));
    t.regex(message, /^line 3 of the users file: /);
    t.regex(message, why);
    t.is(data['line'], 3);
    t.notRegex(message, /bob|secret/);
  },
});

test('an MD5 hash', refused, 'bob:$apr1$kxReRzEo$djxws6C6QSUHyeIgAs/f8.', /not bcrypt/);
test('a SHA-1 hash', refused, 'bob:{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=', /not bcrypt/);
test('a crypt hash', refused, 'bob:KCPjNtsO.8D4Q', /not bcrypt/);
test('a SHA-256 hash', refused, 'bob:$5$/KkTtJbAf7jSmYBk$.s/HIyW9NSKpuPHFItW5LXq7RWZ.OkYJcXnTusAP902', /not bcrypt/);
test('a plain password', refused, 'bob:secret', /not bcrypt/);
test('a broken bcrypt ($2x$)', refused, `bob:${hash.replace('$2y$', '$2x$')}`, /not bcrypt/);
test('a hash that is too short', refused, `bob:${hash.slice(0, -1)}`, /not bcrypt/);
test('text after the hash', refused, `bob:${hash}:x`, /not bcrypt/);
test('no colon', refused, 'secret', /expected NAME:HASH/);
test('no name', refused, `:${hash}`, /the name is empty/);
test('a name twice', refused, htpasswdLines.zoë, /the name is there twice/);
test('a control character', refused, `bob\0:${hash}`, /control character/);
test('a name that is too long', refused, `${'n'.repeat(MAX_ACTOR_BYTES + 1)}:${hash}`, /more than 1024 bytes/);
test('a low cost', refused, `bob:${hash.replace('$05$', '$03$')}`, /cost of the hash is 3, expected 4 to/);
test('a high cost', refused, `bob:${hash.replace('$05$', `$${MAX_BCRYPT_COST + 1}$`)}`, /cost of the hash is 15/);

test('a users file that is not UTF-8 is refused', (t) => {
  storeError(t, 'ACCESS_INVALID', () => parseHtpasswd(Uint8Array.of(0xeb, 0x3a)));
});

test('any file is read or refused', (t) => {
  const line = fc.constantFrom(...Object.values(htpasswdLines), '#', ':', '\n', '\r\n', 'a', '\0', `b:${hash}`);
  const text = fc.array(fc.oneof(line, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 12 });
  const property = fc.property(text, (parts) => {
    try {
      for (const [name, found] of parse(parts.join(''))) t.true(name !== '' && found.length === 60);
    } catch (error) {
      t.true(error instanceof StoreError && error.code === 'ACCESS_INVALID');
    }
  });
  t.notThrows(() => fc.assert(property, { numRuns: 200 }));
});

test('passwords of htpasswd -B are right, others are not', async (t) => {
  const passwords = new Passwords();
  const users = parse(`${htpasswdLines.alice}\n${htpasswdLines.zoë}`);
  t.true(await passwords.check(users, 'alice', 'correct horse'));
  t.true(await passwords.check(users, 'zoë', 'pässwort'));
  t.false(await passwords.check(users, 'alice', 'correct horsE'));
  t.false(await passwords.check(users, 'alice', ''));
  t.false(await passwords.check(users, 'bob', 'correct horse'));
  t.false(await passwords.check(new Map(), 'alice', 'correct horse'));
});

test('a name that is not there costs a comparison with a hash of somebody, which cannot let it in', async (t) => {
  const users = parse(`${htpasswdLines.alice}\n${htpasswdLines.zoë}`);
  const compared: string[] = [];
  const passwords = new Passwords(async (_, stored) => {
    compared.push(stored);
    return true;
  });
  for (let each = 0; each < 40; each++) t.false(await passwords.check(users, `nobody${each}`, 'x'));
  t.is(compared.length, 40);
  t.deepEqual([...new Set(compared)].sort(), [...users.values()].sort(), 'costs are spread as those of the users');
  const [first] = compared;
  t.false(await passwords.check(users, 'nobody0', 'y'));
  t.is(compared.at(-1), first, 'the same cost each time');
  t.false(await passwords.check(new Map(), 'nobody', 'x'));
  t.is(compared.length, 42, 'without users too');
});

test('a right password is compared once, a wrong one each time, and a new hash again', async (t) => {
  let count = 0;
  const passwords = new Passwords(async (password) => {
    count += 1;
    return password === 'right';
  });
  const users = new Map([['alice', hash]]);
  t.false(passwords.isKnown(users, 'alice', 'right'));
  t.deepEqual(await Promise.all([1, 2, 3].map(() => passwords.check(users, 'alice', 'right'))), [true, true, true]);
  t.is(count, 1, 'at once: one comparison');
  t.true(passwords.isKnown(users, 'alice', 'right'));
  t.false(passwords.isKnown(users, 'bob', 'right'));
  t.false(passwords.isKnown(new Map([['alice', `${hash.slice(0, -1)}a`]]), 'alice', 'right'));
  t.false(passwords.isKnown(new Map(), 'alice', 'right'));
  for (let each = 0; each < 2; each++) t.false(await passwords.check(users, 'alice', 'wrong'));
  t.is(count, 3);
  t.false(passwords.isKnown(users, 'alice', 'wrong'));
});

test('passwords that were right are remembered up to a limit, the oldest is dropped', async (t) => {
  const passwords = new Passwords(async () => true);
  const users = new Map([['alice', hash]]);
  for (let each = 0; each < MAX_KEPT_LOGINS; each++) await passwords.check(users, 'alice', String(each));
  t.true(passwords.isKnown(users, 'alice', '0'), 'used lately: the newest now');
  await passwords.check(users, 'alice', 'one more');
  t.true(passwords.isKnown(users, 'alice', '0'));
  t.false(passwords.isKnown(users, 'alice', '1'));
});

test('comparisons are made one at a time, and only so many wait', async (t) => {
  let [running, most] = [0, 0];
  const passwords = new Passwords(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return false;
  });
  const users = new Map([['alice', hash]]);
  const answers = await Promise.all(
    Array.from({ length: MAX_WAITING_LOGINS + 1 }, (_, each) => passwords.check(users, 'alice', String(each))),
  );
  t.is(most, 1);
  t.deepEqual(answers.map((answer) => answer === undefined).indexOf(true), MAX_WAITING_LOGINS);
  t.false(await passwords.check(users, 'alice', 'later'));
});

test('a comparison that fails does not stop the next', async (t) => {
  let count = 0;
  const passwords = new Passwords(async () => {
    count += 1;
    if (count === 1) throw new Error('no memory');
    return true;
  });
  const users = new Map([['alice', hash]]);
  await t.throwsAsync(passwords.check(users, 'alice', 'x'), { message: 'no memory' });
  t.true(await passwords.check(users, 'alice', 'x'));
});

/** A watched users file and its clock. */
async function watched(t: ExecutionContext): Promise<{
  readonly names: () => Promise<string[]>;
  readonly replace: (text: string) => Promise<void>;
  readonly path: string;
  readonly pass: (ms: number) => void;
  readonly notices: string[];
}> {
  const path = join(await temporaryDirectory(t), 'users');
  await writeFile(path, htpasswdLines.alice);
  let time = 0;
  const notices: string[] = [];
  const options = {
    path,
    parse: parseHtpasswd,
    now: () => time,
    onNotice: (notice: string) => void notices.push(notice),
  };
  const file = await WatchedFile.open(options);
  return {
    names: async () => [...(await file.current()).keys()],
    replace: async (text) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    },
    path,
    pass: (ms) => {
      time += ms;
    },
    notices,
  };
}

test('a users file that changed is read again, at most once in the time of a check', async (t) => {
  const { names, replace, pass, notices } = await watched(t);
  t.deepEqual(await names(), ['alice']);
  await replace(htpasswdLines.zoë);
  pass(ACCESS_FILE_CHECK_MS - 1);
  t.deepEqual(await names(), ['alice']);
  pass(1);
  t.deepEqual(await Promise.all([names(), names()]), [['zoë'], ['zoë']]);
  pass(-ACCESS_FILE_CHECK_MS * 10);
  await replace(htpasswdLines.alice);
  t.deepEqual(await names(), ['alice'], 'a clock set back');
  t.deepEqual(notices, []);
});

test('a users file that became invalid or vanished is reported once, and the last one stays', async (t) => {
  const { names, replace, pass, notices, path } = await watched(t);
  await replace('bob:secret');
  for (let each = 0; each < 3; each++) {
    pass(ACCESS_FILE_CHECK_MS);
    t.deepEqual(await names(), ['alice']);
  }
  t.is(notices.length, 1);
  t.regex(notices[0] ?? '', /users changed but is not used, .*: line 1 of the users file: the hash is not bcrypt/);
  await rm(path);
  for (let each = 0; each < 2; each++) {
    pass(ACCESS_FILE_CHECK_MS);
    t.deepEqual(await names(), ['alice']);
  }
  t.is(notices.length, 2);
  await replace(htpasswdLines.zoë);
  pass(ACCESS_FILE_CHECK_MS);
  t.deepEqual(await names(), ['zoë']);
});

test('a users file that is not there, a folder, or too large is refused', async (t) => {
  const directory = await temporaryDirectory(t);
  const open = (path: string): Promise<unknown> =>
    WatchedFile.open({ path, parse: parseHtpasswd, now: Date.now, onNotice: () => t.fail() });
  await rejection(t, 'FILE_NOT_FOUND', open(join(directory, 'none')));
  await rejection(t, 'IO_FAILED', open(directory));
  const large = join(directory, 'large');
  await writeFile(large, Buffer.alloc(MAX_ACCESS_FILE_BYTES + 1, '#'));
  t.regex((await rejection(t, 'ACCESS_INVALID', open(large))).message, /more than 4194304 bytes/);
});
