import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test from 'ava';
import { serveStore } from '../../../src/server/service/serve-store.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { basic, htpasswdLines } from './credentials.js';

test('a served store lets in whom its access file names, and logs whom it refuses', async (t) => {
  const directory = await temporaryDirectory(t);
  const accessFile = join(directory, 'access.json');
  const users = join(directory, 'users');
  writeFileSync(users, htpasswdLines.alice);
  writeFileSync(accessFile, JSON.stringify({ users, rules: [{ who: 'alice', may: ['read'] }] }));
  const lines: string[] = [];
  const accessLog = new Writable({
    write: (chunk, _, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const store = await openTestStore(t);
  const listen = [{ host: '127.0.0.1', port: 0 }];
  const onNotice = (notice: string): void => t.log(notice);
  const serving = await serveStore(store, { server: {}, listen, files: { access: accessFile }, accessLog, onNotice });
  const status = async (authorization?: string): Promise<number> =>
    (await fetch(`${serving.urls[0]}/v2/`, { headers: authorization === undefined ? {} : { authorization } })).status;
  t.is(await status(), 401, 'on this machine too');
  t.is(await status(basic('alice', 'secret')), 401);
  t.is(await status(basic('alice', 'correct horse')), 200);
  await serving.stop(1_000);
  const logged = lines
    .join('')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.deepEqual(
    logged.flatMap(({ reason, user, status: answered }) => (reason === undefined ? [] : [[answered, reason, user]])),
    [
      [401, 'no credentials to use this server', undefined],
      [401, 'wrong name or password', 'alice'],
    ],
  );
  t.is(logged.find(({ status: answered, method }) => answered === 200 && method === 'GET')?.['actor'], 'alice');
  t.notRegex(lines.join(''), /secret|correct|Basic/);
});

test('a store is not served with an access file that is invalid', async (t) => {
  const accessFile = join(await temporaryDirectory(t), 'access.json');
  writeFileSync(accessFile, '{"rules":[{"who":"alice"}]}');
  const store = await openTestStore(t);
  const serving = serveStore(store, {
    server: {},
    listen: [],
    files: { access: accessFile },
    onNotice: (notice) => t.log(notice),
  });
  t.regex(
    (await rejection(t, 'ACCESS_INVALID', serving)).message,
    /access\.json: rules\[0\]\.may of the access options/,
  );
});
