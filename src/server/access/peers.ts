import { readFileSync, type Stats, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { PeerCertificate } from 'node:tls';
import type { Connection } from './access.js';
import { type CertificateName, invalidOption, type SocketOptions } from './options.js';

/** Who is at the other end of a unix socket. */
export interface UnixPeer {
  /** User name, and `group:NAME`, as far as they are known. */
  readonly names: readonly string[];
  /** May read and write the store's files itself: the server's user, or root. */
  readonly isOwner: boolean;
}

/** Finds the peer of a connection that is open; at once, as its descriptor may be another's later. */
export type PeerFinder = (connection: Connection) => UnixPeer;

/** User id of the peer of a socket; undefined if the kernel does not say. */
type PeerUid = (descriptor: number) => number | undefined;

/** @throws {StoreError} ACCESS_INVALID when the kernel cannot be asked */
export function peerFinder({ peer }: SocketOptions, peerUid: () => PeerUid = kernelPeerUid): PeerFinder {
  const uidOf = peer === 'kernel' ? peerUid() : undefined;
  return ({ socketPath, descriptor }) => {
    const stats = socketPath === undefined ? undefined : statSync(socketPath, { throwIfNoEntry: false });
    const uid = uidOf === undefined ? ownerByMode(stats) : descriptor === undefined ? undefined : uidOf(descriptor);
    const group = stats === undefined ? [] : groupByMode(stats);
    return {
      names: [...(uid === undefined ? [] : [nameOf('/etc/passwd', uid) ?? `uid:${uid}`]), ...group],
      isOwner: uid !== undefined && (uid === 0 || uid === process.getuid?.()),
    };
  };
}

/** To connect needs the right to write: of a socket of mode 0600 its owner has it, and root, who can be anyone. */
function ownerByMode(stats: Stats | undefined): number | undefined {
  return stats?.isSocket() === true && (stats.mode & 0o022) === 0 ? stats.uid : undefined;
}

function groupByMode(stats: Stats): string[] {
  if (!stats.isSocket() || (stats.mode & 0o022) !== 0o020) return [];
  return [`group:${nameOf('/etc/group', stats.gid) ?? stats.gid}`];
}

/** Name of a user or group by its id, from files of the system; what a directory service knows has none. */
function nameOf(file: string, id: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name = '', , number]) => name !== '' && number === String(id))?.[0];
}

/** What we use of the package koffi, which callers of the kernel's interface may install. */
interface Koffi {
  load(path: null): { func(prototype: string): (...values: unknown[]) => number };
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;
/** On other processors these numbers mean something else. */
const processors: readonly string[] = ['x64', 'arm64', 'arm', 'ia32', 'riscv64', 'loong64'];

function kernelPeerUid(): PeerUid {
  if (process.platform !== 'linux' || !processors.includes(process.arch)) {
    throw invalidOption('socket.peer', `mode: the kernel of ${process.platform} ${process.arch} cannot be asked`);
  }
  const call = loadGetsockopt();
  return (descriptor) => {
    const credentials = Buffer.alloc(UCRED_BYTES);
    const length = [UCRED_BYTES];
    const failed = call(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length);
    return failed === 0 && length[0] === UCRED_BYTES ? credentials.readUInt32LE(4) : undefined;
  };
}

function loadGetsockopt(): (...values: unknown[]) => number {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    return koffi.load(null).func('int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)');
  } catch (cause) {
    throw invalidOption('socket.peer', 'the package koffi to be installed beside imagelog', cause);
  }
}

/**
 * Returns the user's name in a certificate; undefined unless it has exactly one of this kind, so that
 * no order of names decides who it is.
 */
export function certificateUser(certificate: PeerCertificate, kind: CertificateName): string | undefined {
  const names = kind === 'CN' ? commonNames(certificate) : alternativeNames(certificate, kind);
  const [name, another] = names;
  return another === undefined && name !== '' && name !== undefined && !/\p{Cc}/u.test(name)
    ? name.normalize('NFC')
    : undefined;
}

/** Node gives a list where there are several, unlike its types. */
function commonNames({ subject }: PeerCertificate): readonly string[] {
  const name: unknown = (subject as PeerCertificate['subject'] | undefined)?.CN;
  return (Array.isArray(name) ? name : [name]).filter((each) => typeof each === 'string');
}

function alternativeNames({ subjectaltname = '' }: PeerCertificate, kind: string): readonly string[] {
  // Node writes a name that could be taken for two as a JSON string.
  return [...subjectaltname.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)].flatMap(([, type, value = '']) => {
    if (type !== kind) return [];
    return value.startsWith('"') ? unquoted(value) : [value];
  });
}

function unquoted(value: string): readonly string[] {
  try {
    return [String(JSON.parse(value))];
  } catch {
    return [];
  }
}
