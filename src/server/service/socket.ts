import { randomBytes } from 'node:crypto';
import {
  chmod,
  type FileHandle,
  lstat,
  mkdtemp,
  open,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
} from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { StoreError } from '../../errors.js';
import { systemCode } from '../../store/files/files.js';
import { MAX_SOCKET_PATH_BYTES } from '../../limits.js';

/** A path of a socket that the system can bind and connect to, while it is not disposed. */
export interface ConnectablePath extends AsyncDisposable {
  readonly path: string;
}

/**
 * Resolves with a path for the socket at `path` that is short enough for a socket's address: a
 * longer one leads through an open directory, or through a link where there is no /proc.
 * Dispose it once connected.
 * @throws errors of the file system, as for a directory that is not there
 */
export async function connectablePath(path: string): Promise<ConnectablePath> {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) {
    return { path, [Symbol.asyncDispose]: async () => undefined };
  }
  return process.platform === 'linux' ? throughOpenDirectory(path) : throughLink(path);
}

async function throughOpenDirectory(path: string): Promise<ConnectablePath> {
  const directory: FileHandle = await open(dirname(path), 'r');
  return {
    path: `/proc/self/fd/${directory.fd}/${basename(path)}`,
    [Symbol.asyncDispose]: () => directory.close(),
  };
}

async function throughLink(path: string): Promise<ConnectablePath> {
  const folder = await mkdtemp(join(tmpdir(), 'imagelog-'));
  const link = join(folder, 'd');
  await symlink(dirname(path), link);
  return {
    path: join(link, basename(path)),
    async [Symbol.asyncDispose]() {
      await unlink(link);
      await rmdir(folder);
    },
  };
}

const boundPaths = new WeakMap<Server, string>();

/** Returns the path of the socket that a server listens at: it was bound at another. */
export function boundPath(server: Server): string | undefined {
  const bound = boundPaths.get(server);
  if (bound !== undefined) return bound;
  const address = server.address();
  return typeof address === 'string' ? address : undefined;
}

/** Resolves with whether a server listens at `path`. */
export async function isAnswering(path: string): Promise<boolean> {
  await using place = await connectablePath(path);
  return new Promise((resolve, reject) => {
    const socket = connect(place.path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      // A socket whose server is gone, none, or a file that is no socket.
      if (['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(systemCode(error))) resolve(false);
      else reject(error);
    });
  });
}

/** Who may connect: the owner alone, or its group too. */
export type SocketMode = 0o600 | 0o660;

/**
 * Binds `server` to the socket `path`; resolves with what removes the socket.
 * It is bound under another name in a new folder: so nobody can connect before its mode is
 * set, and the rename replaces the socket of a server that is gone, and nothing else.
 * @throws {StoreError} ADDRESS_REFUSED for a path where a file or link is that is no socket
 * @throws errors of the system; the caller has asked `isAnswering` before
 */
export async function bindSocket(server: Server, path: string, mode: SocketMode = 0o600): Promise<() => Promise<void>> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isSocket() === false) {
    const text = `cannot listen at ${path}: what is there is no socket, and stays`;
    throw new StoreError('ADDRESS_REFUSED', text, { data: { address: path } });
  }
  // Mode 0700.
  const folder = await mkdtemp(join(dirname(path), '.tmp-serve-'));
  try {
    // At its close Node removes this name, by a descriptor that may be of another folder by then.
    const bound = join(folder, `${randomBytes(8).toString('hex')}.sock`);
    await using place = await connectablePath(bound);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(place.path, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(bound, mode);
    await rename(bound, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  boundPaths.set(server, path);
  const { ino } = await stat(path);
  return async () => {
    // Another server may have its own there by now.
    const now = await stat(path).catch(() => undefined);
    if (now?.ino === ino) await rm(path, { force: true });
  };
}
