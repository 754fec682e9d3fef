import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CREDENTIAL_HELPER_MS, MAX_CREDENTIAL_FILE_BYTES } from '../../src/limits.js';
import {
  askHelper,
  credentialFinder,
  type Credentials,
  type FindCredentials,
} from '../../src/registry-client/credentials.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const HOST = 'registry.example.com';

interface Home {
  readonly folder: string;
  readonly find: FindCredentials;
  readonly write: (path: string, content: unknown) => Promise<string>;
  /** Installs a credential helper, a shell script. */
  readonly helper: (name: string, script: string) => Promise<void>;
}

/** A home directory, whose `bin` is first on the PATH. */
async function home(t: ExecutionContext, env: (folder: string) => Record<string, string> = () => ({})): Promise<Home> {
  const folder = await temporaryDirectory(t);
  const write = async (path: string, content: unknown): Promise<string> => {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  };
  const helper = async (name: string, script: string): Promise<void> => {
    await chmod(await write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`), 0o755);
  };
  const path = `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`;
  return { folder, write, helper, find: credentialFinder({ HOME: folder, PATH: path, ...env(folder) }) };
}

const basic = (text: string): string => Buffer.from(text).toString('base64');
const password = (username: string, secret: string): Credentials => ({ type: 'password', username, password: secret });

test("docker's file has a password, an identity token or an access token for a host", async (t) => {
  const { find, write } = await home(t);
  const entries: readonly (readonly [unknown, Credentials | undefined])[] = [
    [{ auth: basic('ann:pa:ss') }, password('ann', 'pa:ss')],
    [{ auth: basic('ann:short\0\0') }, password('ann', 'short')],
    [{ username: 'ann', password: 'secret' }, password('ann', 'secret')],
    [
      { auth: basic('00000000:'), identitytoken: 'refresh' },
      { type: 'identity', token: 'refresh' },
    ],
    [{ registrytoken: 'access' }, { type: 'access', token: 'access' }],
    [{ auth: basic('no colon') }, undefined],
    [{}, undefined],
    [null, undefined],
  ];
  for (const [entry, expected] of entries) {
    for (const key of [HOST, `https://${HOST}`, `https://${HOST}/v1/`, `https://${HOST}/v2/`]) {
      await write('.docker/config.json', { auths: { [key]: entry, 'other.example.com': { auth: basic('b:b') } } });
      t.deepEqual((await find(HOST, 'shop/app')).credentials, expected);
    }
  }
});

test('credentials of docker.io have the key that docker gives them', async (t) => {
  const { find, write, helper } = await home(t);
  await write('.docker/config.json', { auths: { 'https://index.docker.io/v1/': { auth: basic('ann:secret') } } });
  t.deepEqual((await find('docker.io', 'library/tiny')).credentials, password('ann', 'secret'));
  await helper('echo', 'read server; printf \'{"Username":"%s","Secret":"s"}\' "$server"');
  await write('.docker/config.json', { credsStore: 'echo' });
  t.deepEqual((await find('docker.io', 'library/tiny')).credentials, password('https://index.docker.io/v1/', 's'));
});

test("podman's file has parts of a host, the longest first", async (t) => {
  const { find, write } = await home(t);
  const auths = {
    [HOST]: { auth: basic('host:1') },
    [`${HOST}/shop`]: { auth: basic('shop:2') },
    [`${HOST}/shop/app`]: { auth: basic('app:3') },
  };
  await write('.config/containers/auth.json', { auths });
  t.deepEqual((await find(HOST, 'shop/app')).credentials, password('app', '3'));
  t.deepEqual((await find(HOST, 'shop/db')).credentials, password('shop', '2'));
  t.deepEqual((await find(HOST, 'other')).credentials, password('host', '1'));
});

test('the places are searched in order, and each says what it had', async (t) => {
  const { find, write, folder } = await home(t, (dir) => ({ XDG_RUNTIME_DIR: join(dir, 'run') }));
  await write('.docker/config.json', { auths: { 'other.example.com': { auth: basic('b:b') } } });
  await write('.config/containers/auth.json', '{"auths": secret');
  t.deepEqual(await find(HOST, 'shop/app'), {
    credentials: undefined,
    places: [
      `${folder}/.docker/config.json (nothing for ${HOST})`,
      `${folder}/run/containers/auth.json (not there)`,
      `${folder}/.config/containers/auth.json (not JSON)`,
    ],
  });
  await write('run/containers/auth.json', { auths: { [HOST]: { auth: basic('ann:secret') } } });
  const { credentials, places } = await find(HOST, 'shop/app');
  t.deepEqual(credentials, password('ann', 'secret'));
  t.is(places.at(-1), `${folder}/run/containers/auth.json (found ${HOST})`);
  await write('.config/containers/auth.json', ' '.repeat(MAX_CREDENTIAL_FILE_BYTES + 1));
  t.regex((await find('absent.example.com', 'a')).places.at(-1) ?? '', /\(too large\)$/);
});

test('$REGISTRY_AUTH_FILE is the only place, $DOCKER_CONFIG another folder', async (t) => {
  const named = await home(t, (dir) => ({ REGISTRY_AUTH_FILE: join(dir, 'auth.json') }));
  await named.write('.docker/config.json', { auths: { [HOST]: { auth: basic('ann:secret') } } });
  t.deepEqual(await named.find(HOST, 'a'), {
    credentials: undefined,
    places: [`${named.folder}/auth.json (not there)`],
  });
  const moved = await home(t, (dir) => ({ DOCKER_CONFIG: join(dir, 'elsewhere') }));
  await moved.write('elsewhere/config.json', { auths: { [HOST]: { auth: basic('ann:secret') } } });
  t.deepEqual((await moved.find(HOST, 'a')).credentials, password('ann', 'secret'));
});

test('a helper of the host comes before the one of all hosts, and both before the file', async (t) => {
  const { find, write, helper } = await home(t);
  await helper('own', 'read server; printf \'{"Username":"<token>","Secret":"refresh"}\'');
  await helper('all', 'read server; printf \'{"Username":"all","Secret":"secret"}\'');
  const auths = { [HOST]: { auth: basic('file:1') } };
  await write('.docker/config.json', { auths, credsStore: 'all', credHelpers: { [HOST]: 'own' } });
  t.deepEqual((await find(HOST, 'a')).credentials, { type: 'identity', token: 'refresh' });
  t.deepEqual((await find('other.example.com', 'a')).credentials, password('all', 'secret'));
});

test('a helper that has nothing, fails or is not there leaves the search to continue', async (t) => {
  const { find, write, helper } = await home(t);
  await helper('empty', 'echo "credentials not found in native keychain"; exit 1');
  await helper('failing', 'echo hunter2; exit 3');
  await helper('loud', 'echo hunter2');
  await helper('mute', 'echo "{}"');
  const outcomes = {
    empty: `nothing for ${HOST}`,
    failing: 'failed with exit code 3',
    loud: 'printed no JSON',
    mute: 'gave no secret',
    absent: 'not installed',
    '../evil': 'not the name of a helper',
  };
  for (const [credsStore, outcome] of Object.entries(outcomes)) {
    await write('.docker/config.json', { credsStore });
    const { credentials, places } = await find(HOST, 'a');
    t.is(credentials, undefined);
    t.true(places[0]?.endsWith(`(docker-credential-${credsStore}: ${outcome})`), places[0]);
    t.notRegex(places.join(), /hunter2/);
  }
  await write('.docker/config.json', { credsStore: 'failing', auths: { [HOST]: { auth: basic('ann:1') } } });
  t.deepEqual((await find(HOST, 'a')).credentials, password('ann', '1'));
});

test('a helper that takes too long is stopped', async (t) => {
  t.true(CREDENTIAL_HELPER_MS >= 30_000);
  const { helper, folder } = await home(t);
  await helper('slow', 'exec sleep 30');
  const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}` };
  t.deepEqual(await askHelper('slow', HOST, { env, helperMs: 100 }), { outcome: 'took too long or was stopped' });
});
