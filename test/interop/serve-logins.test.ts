import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { htpasswdLines } from '../server/access/credentials.js';
import { archivePath } from '../store/fixture-archives.js';
import { authority } from '../support/authority.js';
import { isInstalled, testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startDocker } from './daemon.js';
import { COMMAND, type ServedCommand, serveCommand } from './listening-program.js';
import { runProgram, whyItFails } from './run-program.js';

/* Clients log in, by their own commands: names and passwords, tokens, certificates. */

const ALICE = ['alice', 'correct horse'] as const;
const ZOË = ['zoë', 'pässwort'] as const;
const ARCHIVE = archivePath('skopeo-tiny-1.tar');

const folder = await mkdtemp(join(tmpdir(), 'imagelog-logins-'));
const daemon = await startDocker();
const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
const podmanFails = await whyItFails(() => runProgram('podman', ...storage, 'load', '--quiet', '--input', ARCHIVE));

test.after.always('end what was started', async () => {
  if (daemon.reason === undefined) await daemon.stop();
  await rm(folder, { recursive: true, force: true });
});

function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => !isInstalled(program));
  return absent.length === 0 ? undefined : `${absent.join(' and ')} not installed`;
}

interface Secured extends ServedCommand {
  readonly isSecure: boolean;
  /** Folder with the authority of the server's certificate, as clients take one. */
  readonly certificates: string;
}

/** Serves to `who`, who reads, and to alice, who may do everything. */
async function serveUsers(t: ExecutionContext, who: '*' | 'anonymous', isSecure: boolean): Promise<Secured> {
  const { directory, issue } = await authority(t);
  const [users, access, certificates] = ['users', 'access.json', 'certs'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(users, `${htpasswdLines.alice}\n${htpasswdLines.zoë}\n`);
  const rules = [
    { who, may: ['read'] },
    { who: 'alice', may: ['admin'] },
  ];
  await writeFile(access, JSON.stringify({ users, rules }));
  issue('server', '/CN=server', 'IP:127.0.0.1');
  await mkdir(certificates);
  await cp(join(directory, 'ca.pem'), join(certificates, 'ca.crt'));
  const tls = ['--tls-cert', join(directory, 'server.pem'), '--tls-key', join(directory, 'server.key')];
  const served = await serveCommand(t, '--access', access, ...(isSecure ? tls : []));
  return { ...served, isSecure, certificates };
}

/** Who wrote the last event. */
async function lastActor({ imagelog }: ServedCommand): Promise<unknown> {
  const line = (await imagelog('log')).trim().split('\n').at(-1) ?? '';
  return (JSON.parse(line) as { readonly actor: unknown }).actor;
}

/** Docker, of a server at 127.0.0.1, asks by plain HTTP after TLS, and shows what that answered. */
const WRONG = /40[01]|unauthorized|invalid username\/password/;
const LOGGED_OUT = /authentication required|unauthorized|no basic auth|invalid username|use https here/i;

/** A client with its own login; each fails as its program does. */
interface Client {
  login(user: string, password: string): Promise<unknown>;
  logout(): Promise<unknown>;
  push(): Promise<unknown>;
  pull(): Promise<unknown>;
}

function dockerOf(t: ExecutionContext, host: string, config: string, ...variables: readonly string[]) {
  if (daemon.reason !== undefined) throw new Error(daemon.reason);
  const { socket } = daemon;
  const run = (...args: readonly string[]): Promise<string> =>
    runProgram('env', ...variables, 'docker', '--config', config, '-H', `unix://${socket}`, ...args);
  t.teardown(() => run('image', 'rm', `${host}/shop/app:1`).catch(() => undefined));
  return run;
}

async function docker(t: ExecutionContext, { host }: Secured): Promise<Client> {
  const run = dockerOf(t, host, await temporaryDirectory(t));
  const image = `${host}/shop/app:1`;
  await run('load', '--input', ARCHIVE);
  await run('tag', 'tiny:1', image);
  return {
    login: (user, password) => run('login', '-u', user, '-p', password, host),
    logout: () => run('logout', host),
    push: () => run('push', image),
    pull: () => run('pull', image),
  };
}

async function podman(t: ExecutionContext, { host, isSecure, certificates }: Secured): Promise<Client> {
  const place = await temporaryDirectory(t);
  const libpod = ['--tmpdir', join(folder, 'tmp'), '--events-backend', 'none', '--log-level', 'error'];
  const run = (...args: readonly string[]): Promise<string> => runProgram('podman', ...storage, ...libpod, ...args);
  const login = ['--authfile', join(place, 'auth.json')];
  await writeFile(join(place, 'auth.json'), '{}');
  const options = [...login, ...(isSecure ? ['--cert-dir', certificates] : ['--tls-verify=false'])];
  const image = `${host}/shop/app:1`;
  await run('load', '--quiet', '--input', ARCHIVE);
  return {
    login: (user, password) => run('login', ...options, '-u', user, '-p', password, host),
    logout: () => run('logout', ...login, host),
    push: () => run('push', '--quiet', ...options, 'docker.io/library/tiny:1', image),
    pull: () => run('pull', '--quiet', ...options, image),
  };
}

async function skopeo(t: ExecutionContext, { host, isSecure, certificates }: Secured): Promise<Client> {
  const login = ['--authfile', join(await temporaryDirectory(t), 'auth.json')];
  const transport = (prefix: string): string[] =>
    isSecure ? [`--${prefix}cert-dir`, certificates] : [`--${prefix}tls-verify=false`];
  const run = (...args: readonly string[]): Promise<string> => runProgram('skopeo', '--insecure-policy', ...args);
  const image = `docker://${host}/shop/app:1`;
  return {
    login: (user, password) => run('login', ...login, ...transport(''), '-u', user, '-p', password, host),
    logout: () => run('logout', ...login, host),
    push: () => run('copy', '--quiet', ...login, ...transport('dest-'), `docker-archive:${ARCHIVE}`, image),
    pull: () => run('inspect', ...login, ...transport(''), image),
  };
}

const CLIENTS = {
  docker: { client: docker, reason: daemon.reason ?? missing('openssl') },
  podman: { client: podman, reason: missing('podman', 'openssl') ?? podmanFails },
  skopeo: { client: skopeo, reason: missing('skopeo', 'openssl') },
};

for (const [name, { client: clientOf, reason }] of Object.entries(CLIENTS)) {
  const withClient = testOrSkip(reason);
  for (const isSecure of [false, true]) {
    const how = isSecure ? 'TLS' : 'plain HTTP';
    withClient(`${name} logs in over ${how} with a password, pushes, and logs out`, async (t) => {
      const served = await serveUsers(t, '*', isSecure);
      const client = await clientOf(t, served);
      const refused = (work: Promise<unknown>, message: RegExp) => t.throwsAsync(work, { message });
      await refused(client.push(), LOGGED_OUT);
      await refused(client.login(ALICE[0], 'wrong'), WRONG);
      await client.login(...ZOË);
      await refused(client.push(), /denied|403/i);
      await client.login(...ALICE);
      await client.push();
      t.is(await lastActor(served), 'alice');
      await client.pull();
      await client.logout();
      await refused(client.pull(), LOGGED_OUT);
    });
  }
  withClient(`${name} pulls where anyone may, and logs in to push`, async (t) => {
    const served = await serveUsers(t, 'anonymous', true);
    const client = await clientOf(t, served);
    await t.throwsAsync(client.push());
    await t.throwsAsync(client.login(ALICE[0], 'wrong'), { message: WRONG });
    await client.login(...ALICE);
    await client.push();
    t.is(await lastActor(served), 'alice');
    await client.logout();
    await client.pull();
  });
}

/** The protocol of docker's helpers, for one login. */
const HELPER = `#!/bin/sh
kept="$(dirname "$0")/kept"
case $1 in
  store) cat > "$kept" ;;
  get) cat > /dev/null; cat "$kept" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
  erase) cat > /dev/null; rm -f "$kept" ;;
esac
`;

testOrSkip(daemon.reason ?? missing('openssl'))(
  'docker and the command line log in by a credential helper',
  async (t) => {
    const served = await serveUsers(t, '*', false);
    const { host } = served;
    const place = await temporaryDirectory(t);
    await writeFile(join(place, 'docker-credential-kept'), HELPER);
    await chmod(join(place, 'docker-credential-kept'), 0o755);
    await writeFile(join(place, 'config.json'), '{"credsStore":"kept"}');
    const variables = [`PATH=${place}:${process.env['PATH']}`, `DOCKER_CONFIG=${place}`];
    const run = dockerOf(t, host, place, ...variables);
    const image = `${host}/shop/app`;
    await run('load', '--input', ARCHIVE);
    await run('tag', 'tiny:1', `${image}:1`);
    await run('login', '-u', ALICE[0], '-p', ALICE[1], host);
    await run('push', `${image}:1`);
    const copy = (tag: string): Promise<string> =>
      runProgram('env', ...variables, process.execPath, COMMAND, 'copy', `${image}:1`, `${image}:${tag}`);
    await copy('2');
    t.is(await lastActor(served), 'alice');
    await run('logout', host);
    await t.throwsAsync(copy('3'), { message: /REGISTRY_DENIED/ });
  },
);

testOrSkip(missing('skopeo', 'curl', 'openssl'))(
  'skopeo and curl push and read with a client certificate, and with no other',
  async (t) => {
    const [own, other] = [await authority(t), await authority(t)];
    own.issue('server', '/CN=server', 'IP:127.0.0.1');
    const file = (name: string): string => join(own.directory, name);
    const access = file('access.json');
    const rules = [{ who: 'builder', by: ['certificate'], may: ['read', 'push'] }];
    await writeFile(access, JSON.stringify({ certificates: { user: 'CN' }, rules }));
    const served = await serveCommand(
      t,
      ...['--access', access, '--tls-cert', file('server.pem'), '--tls-key', file('server.key')],
      ...['--tls-client-ca', file('ca.pem')],
    );
    const url = `https://${served.host}/v2/shop/app/tags/list`;
    const works = async (from: typeof own, name: string, subject: string): Promise<readonly boolean[]> => {
      const { key, cert } = from.issue(name, subject);
      const certificates = await temporaryDirectory(t);
      await cp(file('ca.pem'), join(certificates, 'ca.crt'));
      await writeFile(join(certificates, 'client.key'), key);
      await writeFile(join(certificates, 'client.cert'), cert);
      const to = ['--dest-cert-dir', certificates, `docker-archive:${ARCHIVE}`, `docker://${served.host}/shop/app:1`];
      const shown = ['--cert', join(certificates, 'client.cert'), '--key', join(certificates, 'client.key')];
      const failures = [
        await whyItFails(() => runProgram('skopeo', '--insecure-policy', 'copy', '--quiet', ...to)),
        await whyItFails(() => runProgram('curl', '--silent', '--fail', '--cacert', file('ca.pem'), ...shown, url)),
      ];
      return failures.map((failure) => failure === undefined);
    };
    t.deepEqual(await works(other, 'foreign', '/CN=builder'), [false, false], 'of another authority');
    t.deepEqual(await works(own, 'eve', '/CN=eve'), [false, false], 'of another name');
    t.deepEqual(await works(own, 'builder', '/CN=builder'), [true, true]);
    t.is(await lastActor(served), 'builder');
  },
);
