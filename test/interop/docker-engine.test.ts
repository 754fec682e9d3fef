import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Serving, serveStore } from '../../src/server/service/serve-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { buildTar } from '../support/build-tar.js';
import { isInstalled, testOrSkip } from '../support/requires.js';
import { startDocker } from './daemon.js';
import { startDockerRegistry } from './docker-registry.js';
import { skopeo, whyItFails } from './run-program.js';

/** Docker's own clients on the socket of `imagelog serve --docker`, and beside it on that of a real daemon. */

const DOCKERODE = 'dockerode@5.0.1';
const WAIT_MS = 30_000;

const folder = mkdtempSync(join(tmpdir(), 'imagelog-'));
const filesystem = join(folder, 'fs.tar');
const daemon = await startDocker();
const withCli = testOrSkip(isInstalled('docker') ? undefined : 'docker not installed');
const withDaemon = testOrSkip(daemon.reason);
const withPlatforms = testOrSkip(await whyNoPlatforms());
const withPodman = testOrSkip(isInstalled('podman') ? undefined : 'podman not installed');
const python = await pythonWithSdk();
const withPython = testOrSkip(python === undefined ? 'python3-docker not installed' : undefined);
const withDockerode = testOrSkip(await whyNoDockerode());
const withSkopeo = testOrSkip(
  ['docker', 'skopeo'].every((name) => isInstalled(name)) ? undefined : 'docker or skopeo not installed',
);
const withRegistry = testOrSkip(
  ['docker', 'docker-registry'].every((name) => isInstalled(name))
    ? undefined
    : 'docker or docker-registry not installed',
);

interface Served {
  readonly store: EventStore;
  readonly socket: string;
  readonly serving: Serving;
}

let count = 0;

/** Serves a new store, or the past of one, until the test ends. */
async function served(t: ExecutionContext, of?: { store: EventStore; at: number }): Promise<Served> {
  count += 1;
  const own = count;
  const options = { actor: 'server', onNotice: () => undefined };
  const store = of?.store ?? (await openStore(join(folder, `store-${own}`), options));
  const socket = join(folder, `s${own}`);
  const failures: unknown[] = [];
  const serving = await serveStore(store, {
    server: { at: of?.at, onFailure: (error) => failures.push(error) },
    listen: [],
    docker: [socket],
    onNotice: () => undefined,
  });
  t.teardown(async () => {
    await serving.stop(0);
    if (of === undefined) await store.close();
    for (const failure of failures) throw failure;
  });
  return { store, socket, serving };
}

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024, timeout: WAIT_MS * 3 };
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

/** Runs the docker command line on a socket. */
function docker(socket: string, args: readonly string[], version?: string): Promise<Ran> {
  const env = version === undefined ? {} : { DOCKER_API_VERSION: version };
  return run('docker', args, { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: folder, ...env });
}

/** Options of 28 and later. */
async function whyNoPlatforms(): Promise<string | undefined> {
  const helps = [await run('docker', ['images', '--help']), await run('docker', ['rmi', '--help'])];
  const isThere = ['--tree', '--platform'].every((option, at) => helps[at]?.stdout.includes(option) === true);
  return isThere ? undefined : 'no docker whose images has --tree and whose rmi has --platform';
}

/** The first interpreter that has the SDK: Debian's own, or another on the PATH. */
async function pythonWithSdk(): Promise<string | undefined> {
  for (const python of ['/usr/bin/python3', 'python3']) {
    const { status } = await run(python, ['-c', 'import docker']);
    if (status === 0) return python;
  }
  return undefined;
}

async function whyNoDockerode(): Promise<string | undefined> {
  await writeFile(filesystem, await buildTar([{ name: 'hello', body: 'hello' }]));
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--prefix', folder];
  const failure = await whyItFails(async () => {
    const { status, stderr } = await run('npm', ['install', ...options, DOCKERODE]);
    if (status !== 0) throw new Error(stderr);
  });
  return failure === undefined ? undefined : `${DOCKERODE} cannot be installed: ${failure}`;
}

test.after.always(async () => {
  if (daemon.reason === undefined) await daemon.stop();
  rmSync(folder, { recursive: true, force: true });
});

const load = (archive: string): readonly string[] => ['load', '--input', archivePath(archive)];

/** Commands in order; each prints the same on both, but for ages. */
const SAME: readonly (readonly string[])[] = [
  load('skopeo-tiny-1.tar'),
  load('skopeo-shop-app-2.0.tar'),
  ['images'],
  ['images', '--all', '--digests', '--no-trunc'],
  ['images', '--quiet'],
  ['images', 'shop/app'],
  ['images', 'shop/*:2.0', '--format', '{{.Repository}} {{.Tag}} {{.ID}} {{.Size}} {{.CreatedAt}}'],
  ['images', '--filter', 'label=org.opencontainers.image.version=2.0', '--quiet'],
  ['images', '--filter', 'before=shop/app:2.0', '--quiet'],
  ['images', '--filter', 'since=tiny:1', '--quiet'],
  ['images', '--filter', 'dangling=true', '--quiet'],
  ['images', '--filter', 'bogus=1'],
  ['history', 'shop/app:2.0'],
  ['history', '--no-trunc', '--human=false', 'tiny:1'],
  ['history', 'nosuch'],
  ['image', 'inspect', 'tiny:1', '--format', '{{json .Config}} {{json .RootFS}} {{.Id}} {{.RepoTags}} {{.Created}}'],
  ['inspect', 'shop/app:2.0', '--format', '{{.Os}} {{.Architecture}} {{.Size}} {{.Author}} {{.Comment}}'],
  ['inspect', 'nosuch'],
  ['tag', 'tiny:1', 'new/name'],
  ['tag', 'tiny:1', 'localhost:5000/x/y:z'],
  ['tag', 'nosuch', 'b:1'],
  ['image', 'inspect', 'new/name', '--format', '{{.RepoTags}}'],
  ['save', 'tiny:1', 'shop/app', '--output', join(folder, 'saved.tar')],
  ['rmi', 'new/name', 'nosuch'],
  ['rmi', '--force', 'nosuch'],
  ['rmi', 'bd10de19d2be'],
  ['rmi', 'localhost:5000/x/y:z'],
  ['system', 'df', '--format', '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}'],
  ['system', 'df', '--verbose'],
  ['rmi', 'tiny:1'],
  ['rmi', 'shop/app:2.0'],
  ['load', '--quiet', '--input', join(folder, 'saved.tar')],
  ['image', 'prune', '--force'],
  ['image', 'prune', '--all', '--force', '--filter', 'label!=org.opencontainers.image.version'],
  ['image', 'prune', '--all', '--force'],
  ['images'],
  ['ps', '--all'],
  ['volume', 'ls', '--quiet'],
];

/** Ages in words, and columns as wide as they are. */
function plain({ status, stdout, stderr }: Ran): string {
  const told = `${stdout}${stderr}`.replaceAll(
    /(?:About )?(?:\d+|an?) (?:second|minute|hour|day|week|month|year)s? ago/g,
    'AGO',
  );
  return `${status} ${told.replaceAll(/ +/g, ' ')}`;
}

withDaemon('the docker command line prints the same of imagelog as of dockerd', async (t) => {
  if (daemon.reason !== undefined) return;
  const { socket } = await served(t);
  await docker(daemon.socket, ['image', 'prune', '--all', '--force']);
  for (const command of SAME) {
    // In the version that both speak.
    const [ours, theirs] = [await docker(socket, command, '1.41'), await docker(daemon.socket, command, '1.41')];
    t.is(plain(ours), plain(theirs), `docker ${command.join(' ')}`);
  }
});

withCli('the docker command line speaks its newest version to imagelog', async (t) => {
  const { socket, store } = await served(t);
  const ok = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await docker(socket, args);
    t.is(status, 0, `docker ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  t.regex(await ok('version'), /Server: imagelog[\s\S]*API version: +1\.51 \(minimum version 1\.12\)/);
  t.is(await ok(...load('docker20-all.tar')).then((text) => text.split('\n').length - 1), 5);
  t.regex(await ok('info'), /Storage Driver: imagelog/);
  t.is((await ok('image', 'inspect', 'tiny:1', '--format', '{{.Id}}')).trim(), store.resolve('tiny:1'));
  const imported = (await ok('import', '--change', 'CMD ["/x"]', '--message', 'mine', filesystem, 'imp/a:1')).trim();
  t.is(store.resolve('imp/a:1') as string, imported);
  t.regex(await ok('history', 'imp/a:1'), /mine/);
  t.regex(await ok('image', 'prune', '--all', '--force'), /Total reclaimed space: 396\.\dkB/);
  t.is(store.len(), 0);
  t.is(await ok('system', 'prune', '--all', '--force'), 'Total reclaimed space: 0B\n');
  const refused = await docker(socket, ['run', 'imp/a:1']);
  t.regex(refused.stderr, /imagelog is a store of images, it does not run containers/);
  const rubbish = await docker(socket, ['load', '--input', projectFile]);
  t.is(rubbish.status, 1);
  t.regex(rubbish.stderr, /^Error response from daemon: cannot read the archive/);
});

/** Any file that is no archive. */
const projectFile = archivePath('expected.json');

withCli('a docker that asks for a version to come, or is too old, is told which there are', async (t) => {
  const { socket } = await served(t);
  const newer = await docker(socket, ['images'], '1.52');
  t.regex(newer.stderr, /client version 1\.52 is too new\. Maximum supported API version is 1\.51/);
  const older = await docker(socket, ['images'], '1.11');
  t.regex(older.stderr, /client version 1\.11 is too old\. Minimum supported API version is 1\.12/);
});

withPlatforms('docker shows, saves and removes one platform', async (t) => {
  const { socket, store } = await served(t);
  await docker(socket, load('oci-multi-platform.tar'));
  const tree = await docker(socket, ['images', '--tree']);
  t.regex(tree.stdout, /tiny:multi +ea3aeee65415 +62B +[\d.]+kB *\n└─ linux\/arm64\/v8 +5fdbdbe929ae/);
  const arm = ['--platform', 'linux/arm64', 'tiny:multi'];
  const facts = await docker(socket, ['image', 'inspect', '--format', '{{.Architecture}}', ...arm]);
  t.is(facts.stdout, 'arm64\n');
  t.is((await docker(socket, ['history', '--quiet', '--no-trunc', ...arm])).stdout.split('\n')[0], ARM);
  const saved = join(folder, 'arm.tar');
  t.is((await docker(socket, ['save', '--output', saved, ...arm])).status, 0);
  const refused = await docker(socket, ['rmi', ...arm]);
  t.regex(refused.stderr, /every name of the image would lose this platform/);
  t.is((await docker(socket, ['rmi', '--force', ...arm])).stdout, `Deleted: ${ARM}\n`);
  t.regex((await docker(socket, ['image', 'inspect', ...arm])).stderr, /has no image for linux\/arm64/);
  t.is((await docker(socket, ['load', '--input', saved, '--platform', 'linux/arm64'])).status, 0);
  t.is(store.resolve('tiny:multi', { platform: 'linux/arm64' }) as string, ARM);
});

const ARM = 'sha256:ea3aeee654151603c121fd5805cd3591cfd9f0810b3fc670f5e5424b67b0a66f';

withPodman('podman --remote is told what it talks to', async (t) => {
  const { socket } = await served(t);
  const { status, stderr } = await run('podman', ['--remote', '--url', `unix://${socket}`, 'images']);
  t.is(status, 125);
  t.regex(stderr, /imagelog is a store of images, it does not speak podman's API/);
});

withCli('docker events replays the log and continues with new events', async (t) => {
  const { socket } = await served(t);
  await docker(socket, load('skopeo-tiny-1.tar'));
  const env = { ...process.env, DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: folder };
  const format = '{{.Action}} {{.Actor.Attributes.name}}';
  const child = spawn('docker', ['events', '--since', '10m', '--filter', 'event=tag', '--format', format], { env });
  t.teardown(() => child.kill());
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await docker(socket, ['tag', 'tiny:1', 'live:1']);
  for (const end = Date.now() + WAIT_MS; !text.includes('live:1') && Date.now() < end; ) await sleep(20);
  t.is(text, 'tag tiny:1\ntag live:1\n');
  // The command line sends whole seconds.
  const end = String(Math.ceil(Date.now() / 1_000));
  const until = await docker(socket, ['events', '--since', '10m', '--until', end, '--format', '{{.Action}}']);
  t.deepEqual(until.stdout.trim().split('\n'), ['load', 'tag', 'tag']);
});

withCli('a server of the past shows docker what was there then', async (t) => {
  const { socket, store } = await served(t);
  await docker(socket, load('skopeo-tiny-1.tar'));
  const at = store.log.head.seq;
  await docker(socket, ['tag', 'tiny:1', 'later:1']);
  await docker(socket, ['rmi', 'tiny:1']);
  const past = await served(t, { store, at });
  const names = ['images', '--format', '{{.Repository}}:{{.Tag}}'];
  t.is((await docker(past.socket, names)).stdout, 'tiny:1\n');
  t.is((await docker(socket, names)).stdout, 'later:1\n');
  const refused = await docker(past.socket, ['rmi', 'tiny:1']);
  t.regex(refused.stderr, /as it was \(--at\)/);
});

const PYTHON = `
import sys, docker
from docker.errors import APIError, ImageNotFound
client = docker.DockerClient(base_url='unix://' + sys.argv[1])
archive, filesystem = sys.argv[2:]
with open(archive, 'rb') as file:
    print(sorted(tag for image in client.images.load(file) for tag in image.tags))
image = client.images.get('shop/app:2.0')
print(image.tag('py/x', '1'), [step['Size'] for step in image.history()])
print(sorted(tag for image in client.images.list(filters={'dangling': False}) for tag in image.tags))
print(len(b''.join(image.save(named=True))) > 10_000)
client.images.remove('py/x:1')
try:
    client.images.get('py/x:1')
except ImageNotFound as error:
    print(error.explanation)
try:
    client.images.load(b'xxxx')
except (APIError, docker.errors.ImageLoadError) as error:
    print('refused')
client.api.import_image(filesystem, repository='py/imp', tag='1')
print(client.images.get('py/imp:1').attrs['Size'])
events = client.events(since=1, until=2_000_000_000, decode=True, filters={'event': 'untag'})
print([next(events)['Actor']['Attributes']['name']])
print(client.images.prune(filters={'dangling': False})['SpaceReclaimed'] > 0, client.containers.list())
`;

withPython('the SDK for Python does with imagelog what it does with dockerd', async (t) => {
  const { socket, store } = await served(t);
  const script = join(folder, 'sdk.py');
  await writeFile(script, PYTHON);
  const { status, stdout, stderr } = await run(python ?? '', [
    script,
    socket,
    archivePath('docker25-all.tar'),
    filesystem,
  ]);
  t.is(status, 0, stderr);
  t.deepEqual(stdout.trim().split('\n'), [
    "['registry.example.com:5000/shop/app:latest', 'registry.example.com:5000/shop/app:latest', 'registry.example.com:5000/shop/app:latest', 'shop/app:1.0', 'shop/app:2.0', 'shop/app:2.0', 'shop/app:2.0', 'shop/app:latest', 'shop/app:latest', 'shop/app:latest', 'tiny-lib:1', 'tiny:1', 'twice:1']",
    'True [0, 18, 396000, 62]',
    "['py/x:1', 'registry.example.com:5000/shop/app:latest', 'shop/app:1.0', 'shop/app:2.0', 'shop/app:latest', 'tiny-lib:1', 'tiny:1', 'twice:1']",
    'True',
    'No such image: py/x:1',
    'refused',
    '5',
    "['py/x:1']",
    'True []',
  ]);
  t.is(store.len(), 0);
});

const SCRIPT = `
import Docker from 'dockerode';
const [, , socketPath, archive, filesystem, rubbish] = process.argv;
const docker = new Docker({ socketPath });
const done = (stream) => new Promise((resolve, reject) =>
  docker.modem.followProgress(stream, (error, values) => (error ? reject(error) : resolve(values))));
const say = (value) => console.log(JSON.stringify(value));
const tags = async (filters) => (await docker.listImages({ filters: JSON.stringify(filters) })).flatMap(({ RepoTags }) => RepoTags).sort();
say((await done(await docker.loadImage(archive))).map(({ stream }) => stream));
say(await docker.loadImage(rubbish).catch(({ statusCode }) => statusCode));
say(await tags({ label: ['org.opencontainers.image.version=2.0'] }));
const image = docker.getImage('shop/app:2.0');
say([(await image.inspect()).RepoTags, (await image.history()).length]);
const events = await docker.getEvents({ filters: JSON.stringify({ event: ['tag'] }) });
const first = new Promise((resolve) => events.once('data', (chunk) => resolve(JSON.parse(String(chunk)).Actor.Attributes.name)));
await image.tag({ repo: 'dn/x', tag: '2' });
say(await first);
events.destroy();
let size = 0;
for await (const chunk of await image.get()) size += chunk.length;
say(size > 10_000);
say(await docker.getImage('dn/x:2').remove());
say(await docker.getImage('dn/x:2').inspect().catch(({ statusCode, json }) => [statusCode, json.message]));
await done(await docker.importImage(filesystem, { repo: 'dn/imp', tag: '1' }));
say(await tags({ reference: ['dn/imp'] }));
say(await docker.createContainer({ Image: 'dn/imp:1' }).catch(({ statusCode }) => statusCode));
say([(await docker.listContainers()).length, (await docker.df()).Images.length]);
say((await docker.pruneImages({ filters: JSON.stringify({ dangling: ['false'] }) })).SpaceReclaimed > 0);
`;

withSkopeo('skopeo copies an image out of imagelog, and into it, as docker-daemon', async (t) => {
  const { socket, store } = await served(t);
  await docker(socket, load('skopeo-tiny-1.tar'));
  const layout = `oci:${join(folder, 'layout')}:x`;
  await skopeo('copy', '--src-daemon-host', `unix://${socket}`, 'docker-daemon:tiny:1', layout);
  await skopeo('copy', '--dest-daemon-host', `unix://${socket}`, layout, 'docker-daemon:copied:1');
  t.deepEqual(store.get(store.resolve('copied:1')).rootFS.diffIds, store.get(store.resolve('tiny:1')).rootFS.diffIds);
});

withDockerode(`${DOCKERODE} does with imagelog what it does with dockerd`, async (t) => {
  const { socket, store } = await served(t);
  const script = join(folder, 'sdk.mjs');
  await writeFile(script, SCRIPT);
  const given = [script, socket, archivePath('skopeo-shop-app-2.0.tar'), filesystem, projectFile];
  const { status, stdout, stderr } = await run(process.execPath, given);
  t.is(status, 0, stderr);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  t.deepEqual(lines, [
    ['Loaded image: shop/app:2.0\n'],
    400,
    ['shop/app:2.0'],
    [['shop/app:2.0'], 4],
    'dn/x:2',
    true,
    [{ Untagged: 'dn/x:2' }],
    [404, 'No such image: dn/x:2'],
    ['dn/imp:1'],
    501,
    [0, 2],
    true,
  ]);
  t.is(store.len(), 0);
});

withRegistry('docker push and pull take all tags of a repository', async (t) => {
  const host = await startDockerRegistry(t);
  const [one, two] = [await served(t), await served(t)];
  await docker(one.socket, load('skopeo-tiny-1.tar'));
  const names = ['1', '2', 'latest'].map((tag) => `${host}/all/tiny:${tag}`);
  for (const name of [...names, `${host}/all/tiny-other:1`]) await docker(one.socket, ['tag', 'tiny:1', name]);
  const pushed = await docker(one.socket, ['push', '--all-tags', `${host}/all/tiny`]);
  t.is(pushed.status, 0, pushed.stderr);
  t.deepEqual(pushed.stdout.match(/^\w+(?=: digest: )/gm), ['1', '2', 'latest']);
  const pulled = await docker(two.socket, ['pull', '--all-tags', `${host}/all/tiny`]);
  t.is(pulled.status, 0, pulled.stderr);
  const [digest = ''] = /sha256:[0-9a-f]{64}/.exec(pulled.stdout) ?? [];
  const byDigest = `${host}/all/tiny@${digest}`;
  t.deepEqual(two.store.references(one.store.resolve('tiny:1')), [...names, byDigest]);
  const inspected = await docker(two.socket, ['image', 'inspect', byDigest, '--format', '{{.RepoDigests}}']);
  t.is(inspected.stdout, `[${byDigest}]\n`);
  const none = await docker(one.socket, ['push', '--all-tags', `${host}/all/none`]);
  t.regex(none.stderr, /does not exist locally/);
});

withRegistry('docker push and pull go through imagelog to a registry', async (t) => {
  const host = await startDockerRegistry(t);
  const [one, two] = [await served(t), await served(t)];
  await docker(one.socket, load('skopeo-tiny-1.tar'));
  const name = `${host}/dn/tiny:1`;
  await docker(one.socket, ['tag', 'tiny:1', name]);
  const pushed = await docker(one.socket, ['push', name]);
  t.is(pushed.status, 0, pushed.stderr);
  t.regex(pushed.stdout, /1: digest: sha256:[0-9a-f]{64}/);
  const pulled = await docker(two.socket, ['pull', name]);
  t.is(pulled.status, 0, pulled.stderr);
  t.is(two.store.resolve(name), one.store.resolve('tiny:1'));
  const again = await docker(two.socket, ['pull', name]);
  t.regex(again.stdout, /Image is up to date/);
  const other = await docker(two.socket, ['pull', '--platform', 'linux/arm64', name]);
  t.regex(other.stdout, /WARNING: image with reference .* wanted linux\/arm64, actual: linux\/amd64/);
  const missing = await docker(two.socket, ['pull', `${host}/dn/nosuch:1`]);
  t.is(missing.status, 1);
  t.regex(missing.stderr, /^Error response from daemon: /);
});
