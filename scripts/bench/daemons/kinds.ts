import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkedByList, type Engine, type EngineKind, type NamingEngine, outputOf } from './engine.js';
import { startDaemon } from './own-daemon.js';

/*
 * What each makes durable, by strace (fsync, fdatasync, syncfs) of a load of two images and of a
 * tag, with the versions of Debian 12. None syncs a directory after a rename.
 */

/** Docker's daemon with its own containerd, without a network. */
export const DOCKERD: EngineKind<NamingEngine> = {
  name: 'dockerd',
  programs: ['dockerd', 'docker', 'containerd'],
  settings:
    'storage driver vfs, which unpacks layers; it syncs configs, names and four files about each layer, not what it unpacks; CPU of daemon and client',
  async open(folder) {
    const socket = join(folder, 's');
    const config = join(folder, 'config.json');
    // Neither the daemon's nor the client's is that of the machine.
    await writeFile(config, '{}');
    const client = await clientOfDaemon();
    const docker = (...args: readonly string[]): Promise<string> =>
      outputOf(client, ['-H', `unix://${socket}`, ...args], { DOCKER_CONFIG: folder });
    const args = [
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs'],
      ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
      ...['--pidfile', join(folder, 'pid'), '--config-file', config, '-H', `unix://${socket}`],
    ];
    const daemon = await startDaemon({ program: 'dockerd', args, folder, ask: () => docker('version') });
    return checkedByList({
      name: 'dockerd',
      folder,
      pids: daemon.pids,
      unsynced: join(folder, 'data', 'vfs', 'dir'),
      load: (archive) => docker('load', '--quiet', '--input', archive),
      save: (reference, path) => docker('save', '--output', path, reference),
      images: () => docker('images'),
      tag: (reference, name) => docker('tag', reference, name),
      [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
    });
  },
};

/** The client of the daemon's own release where several are installed, else the first. */
async function clientOfDaemon(): Promise<string> {
  const versionOf = async (program: string): Promise<string | undefined> =>
    /version ([\d.]+)/.exec(await outputOf(program, ['--version']))?.[1];
  const release = await versionOf('dockerd');
  const clients = (await outputOf('sh', ['-c', 'which -a docker'])).trim().split('\n');
  for (const client of clients) if ((await versionOf(client)) === release) return client;
  return clients[0] ?? 'docker';
}

/** The daemon of containerd, which keeps blobs as they came, and names. */
export const CONTAINERD: EngineKind<NamingEngine> = {
  name: 'containerd',
  programs: ['containerd', 'ctr'],
  settings:
    'ctr import --no-unpack: blobs are kept as they came, as ours are; it syncs each, and its database with every transaction; CPU of daemon and client',
  async open(folder) {
    const socket = join(folder, 's');
    const config = join(folder, 'config.toml');
    const lines = [
      'version = 2',
      `root = ${JSON.stringify(join(folder, 'root'))}`,
      `state = ${JSON.stringify(join(folder, 'state'))}`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
      `[grpc]\naddress = ${JSON.stringify(socket)}`,
      `[ttrpc]\naddress = ${JSON.stringify(`${socket}.ttrpc`)}`,
    ];
    await writeFile(config, lines.join('\n'));
    const ctr = (...args: readonly string[]): Promise<string> => outputOf('ctr', ['--address', socket, ...args]);
    const args = ['--config', config];
    const daemon = await startDaemon({ program: 'containerd', args, folder, ask: () => ctr('version') });
    return checkedByList({
      name: 'containerd',
      folder,
      pids: daemon.pids,
      load: (archive) => ctr('images', 'import', '--no-unpack', archive),
      save: (reference, path) => ctr('images', 'export', path, canonical(reference)),
      images: () => ctr('images', 'ls'),
      tag: (reference, name) => ctr('images', 'tag', canonical(reference), canonical(name)),
      [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
    });
  },
};

/** Containerd takes whole names. */
function canonical(reference: string): string {
  return `docker.io/${reference}`;
}

/** No daemon: each command opens the store. */
export const PODMAN: EngineKind<NamingEngine> = {
  name: 'podman',
  programs: ['podman'],
  settings: 'storage driver vfs, which unpacks layers; it syncs its databases and documents, not what it unpacks',
  async open(folder) {
    const args = [
      ...['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'],
      ...['--tmpdir', join(folder, 'tmp'), '--events-backend', 'none', '--log-level', 'error'],
    ];
    const podman = (...more: readonly string[]): Promise<string> => outputOf('podman', [...args, ...more]);
    // Makes the store: the daemons have theirs when they answer.
    await podman('images');
    return checkedByList({
      ...withoutDaemon('podman', folder),
      unsynced: join(folder, 'root', 'vfs', 'dir'),
      load: (archive) => podman('load', '--quiet', '--input', archive),
      save: (reference, path) => podman('save', '--quiet', '--output', path, reference),
      images: () => podman('images'),
      tag: (reference, name) => podman('tag', reference, name),
    });
  },
};

/** Copies one image into an OCI layout and back: it has no list and no names to move. */
export const SKOPEO: EngineKind = {
  name: 'skopeo',
  programs: ['skopeo'],
  settings:
    'copy to an OCI layout and back, with --dest-oci-accept-uncompressed-layers, and checked; it syncs blobs, not index.json',
  async open(folder) {
    const layout = join(folder, 'layout');
    const oci = `oci:${layout}:copy`;
    const copy = ['copy', '--quiet', '--insecure-policy', '--dest-oci-accept-uncompressed-layers'];
    return {
      ...withoutDaemon('skopeo', folder),
      unsynced: layout,
      load: (archive) => outputOf('skopeo', [...copy, `docker-archive:${archive}`, oci]),
      save: (_, path) => outputOf('skopeo', [...copy, oci, `docker-archive:${path}`]),
      check: (count) => requirePlainLayers(layout, count),
    };
  },
};

function withoutDaemon(
  name: string,
  folder: string,
): Pick<Engine, 'name' | 'folder' | 'pids' | typeof Symbol.asyncDispose> {
  return { name, folder, pids: [], [Symbol.asyncDispose]: async () => undefined };
}

interface Descriptor {
  readonly digest: string;
}

/**
 * A layer that was compressed would be compared with a copy of plain bytes. Its media type does not
 * tell: skopeo 1.9.3 calls plain layers of a docker archive `tar+gzip`.
 */
async function requirePlainLayers(layout: string, count: number): Promise<void> {
  const parse = async (path: string): Promise<unknown> => JSON.parse(await readFile(join(layout, path), 'utf8'));
  const blob = ({ digest }: Descriptor): Promise<unknown> => parse(`blobs/${digest.replace(':', '/')}`);
  const { manifests } = (await parse('index.json')) as { manifests: readonly Descriptor[] };
  if (manifests.length !== count) throw new Error(`skopeo wrote ${manifests.length} images, expected ${count}`);
  for (const descriptor of manifests) {
    const { config, layers } = (await blob(descriptor)) as { config: Descriptor; layers: readonly Descriptor[] };
    const { rootfs } = (await blob(config)) as { rootfs: { diff_ids: readonly string[] } };
    const compressed = layers.find(({ digest }, at) => digest !== rootfs.diff_ids[at]);
    if (compressed !== undefined) throw new Error(`skopeo compressed a layer into ${compressed.digest}`);
  }
}
