import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../src/model/digest.js';
import { isInstalled } from '../support/requires.js';
import { archivePath } from '../store/fixture-archives.js';
import type { Started } from './daemon.js';
import { runProgram, skopeo, whyItFails } from './run-program.js';

/** A program that pushes to a registry and pulls from it. Images have full names, such as `127.0.0.1:5000/shop/app:1`. */
export interface RegistryClient {
  readonly name: string;
  /** Why it cannot be used here. */
  readonly reason: string | undefined;
  /** Pushes the only image of a docker archive, by its name in it. */
  push(archive: string, image: string): Promise<void>;
  /** Pushes all platforms of the index `source`, which is in the registry, as `image`. Absent if it has no way to. */
  pushAll?(source: string, image: string): Promise<void>;
  /** Pulls an image and returns the digest of its manifest, or of the index that it came by. */
  pull(image: string): Promise<string>;
}

/** The client of Docker's daemon. */
export function dockerClient(daemon: Started, folder: string): RegistryClient {
  const docker = (...args: readonly string[]): Promise<string> => {
    if (daemon.reason !== undefined) throw new Error(daemon.reason);
    return runProgram('docker', '--config', join(folder, 'docker'), '-H', `unix://${daemon.socket}`, ...args);
  };
  return {
    name: 'docker',
    reason: daemon.reason,
    push: async (archive, image) => {
      await docker('load', '--input', archive);
      await docker('push', image);
    },
    pushAll: async (source, image) => {
      const named = JSON.parse(await docker('manifest', 'inspect', '--insecure', source)) as {
        manifests: { digest: string; platform: { architecture: string; os: string } }[];
      };
      const children = named.manifests.map(({ digest }) => `${source.replace(/:[^:/]*$/, '')}@${digest}`);
      await docker('manifest', 'create', '--insecure', image, ...children);
      await docker('manifest', 'push', '--insecure', '--purge', image);
    },
    pull: async (image) => {
      const printed = await docker('pull', image);
      return /^Digest: (\S+)$/m.exec(printed)?.[1] ?? printed;
    },
  };
}

/** Podman and buildah, with their own storage. */
export async function storageClients(folder: string): Promise<readonly RegistryClient[]> {
  const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const libpod = ['--tmpdir', join(folder, 'tmp'), '--events-backend', 'none', '--log-level', 'error'];
  const podman = (...args: readonly string[]): Promise<string> => runProgram('podman', ...storage, ...libpod, ...args);
  const buildah = (...args: readonly string[]): Promise<string> => runProgram('buildah', ...storage, ...args);
  const plain = '--tls-verify=false';
  // Of an image that is there they show the digest that it has there.
  const removeAll = (): Promise<string> => buildah('rmi', '--all', '--force');
  const pushAll =
    (run: typeof podman): NonNullable<RegistryClient['pushAll']> =>
    async (source, image) => {
      await run('manifest', 'create', image);
      await run('manifest', 'add', '--all', plain, image, `docker://${source}`);
      await run('manifest', 'push', '--all', plain, image, `docker://${image}`);
    };
  return [
    {
      name: 'podman',
      reason: await whyNot('podman', () => podman('load', '--quiet', '--input', archivePath('skopeo-tiny-1.tar'))),
      push: async (archive, image) => {
        await podman('load', '--quiet', '--input', archive);
        await podman('push', '--quiet', plain, image);
      },
      pushAll: pushAll(podman),
      pull: async (image) => {
        await removeAll();
        const id = (await podman('pull', '--quiet', plain, image)).trim();
        return (await podman('image', 'inspect', '--format', '{{.Digest}}', id)).trim();
      },
    },
    {
      name: 'buildah',
      reason: await whyNot('buildah', () =>
        buildah('pull', '--quiet', `docker-archive:${archivePath('skopeo-tiny-1.tar')}`),
      ),
      push: async (archive, image) => {
        await buildah('pull', '--quiet', `docker-archive:${archive}`);
        await buildah('push', '--quiet', plain, image, `docker://${image}`);
      },
      pushAll: pushAll(buildah),
      pull: async (image) => {
        await removeAll();
        const id = (await buildah('pull', '--quiet', plain, image)).trim();
        return (await buildah('inspect', '--type', 'image', '--format', '{{.FromImageDigest}}', id)).trim();
      },
    },
  ];
}

async function whyNot(program: string, work: () => Promise<unknown>): Promise<string | undefined> {
  if (!isInstalled(program)) return `${program} not installed`;
  if (process.getuid?.() !== 0) return `${program} needs root`;
  const failure = await whyItFails(work);
  return failure && `${program} does not work here: ${failure}`;
}

/** Skopeo, which keeps what it copies as it is. */
export function skopeoClient(folder: string): RegistryClient {
  return {
    name: 'skopeo',
    reason: isInstalled('skopeo') ? undefined : 'skopeo not installed',
    push: async (archive, image) => {
      await skopeo('copy', '--dest-tls-verify=false', `docker-archive:${archive}`, `docker://${image}`);
    },
    pushAll: async (source, image) => {
      await copyAll(`docker://${source}`, `docker://${image}`);
    },
    pull: async (image) => {
      const copy = await mkdtemp(join(folder, 'skopeo-'));
      await skopeo('copy', '--src-tls-verify=false', '--preserve-digests', `docker://${image}`, `dir:${copy}`);
      return digestOf(await readFile(join(copy, 'manifest.json')));
    },
  };
}

/** Copies all platforms by skopeo. */
export function copyAll(from: string, to: string): Promise<string> {
  const plain = [
    from.startsWith('docker:') && '--src-tls-verify=false',
    to.startsWith('docker:') && '--dest-tls-verify=false',
  ];
  const options = plain.filter((option) => option !== false);
  return skopeo('copy', '--quiet', '--all', '--preserve-digests', ...options, from, to);
}

/** The client of containerd's daemon. */
export function containerdClient(daemon: Started): RegistryClient {
  const ctr = (...args: readonly string[]): Promise<string> => {
    if (daemon.reason !== undefined) throw new Error(daemon.reason);
    return runProgram('ctr', '--address', daemon.socket, '--namespace', 'serve', 'images', ...args);
  };
  const pull = async (image: string, ...options: readonly string[]): Promise<string> => {
    await ctr('pull', '--plain-http', ...options, image);
    const [, row = ''] = (await ctr('ls', `name==${image}`)).trim().split('\n');
    return row.split(/\s+/)[2] ?? row;
  };
  return {
    name: 'containerd',
    reason: daemon.reason,
    push: async (archive, image) => {
      await ctr('import', archive);
      await ctr('push', '--plain-http', image);
    },
    pushAll: async (source, image) => {
      await pull(source, '--all-platforms');
      await ctr('tag', source, image);
      await ctr('push', '--plain-http', image);
    },
    pull,
  };
}
