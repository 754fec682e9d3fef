import { statSync } from 'node:fs';
import { StoreError } from '../../errors.js';
import type { Action } from '../../server/access/access.js';
import { socketPathOf, storeDirectory } from '../store-directory.js';
import type { CommandEntry } from '../command.js';
import type { CliIo } from '../output.js';
import { nonEmpty } from '../settings.js';

/* Which server runs a command line, if any: decided before the code that parses and runs it is loaded. */

/** A server that may run the command. */
export interface Target {
  readonly at: UnixAddress | TcpAddress;
  /** Whether it was found beside the store, not named: then the store's own files will do. */
  readonly isFound: boolean;
  readonly may: Action;
  /** The options as they were typed. */
  readonly store: string | undefined;
  readonly host: string | undefined;
  readonly wait: string | undefined;
}

interface UnixAddress {
  readonly kind: 'unix';
  readonly path: string;
}

interface TcpAddress {
  readonly kind: 'http' | 'https';
  readonly hostname: string;
  readonly port: number;
  /** Path of the server behind a proxy, without a slash at its end. */
  readonly prefix: string;
  /** `user:password` of the URL. */
  readonly user: string | undefined;
}

/** What a command line says of a server. */
interface Asked {
  /** The first word that is no option. */
  readonly command: string | undefined;
  readonly store: string | undefined;
  readonly host: string | false | undefined;
  readonly wait: string | undefined;
  readonly isHelp: boolean;
}

/** Options with a value that may stand before the command. */
const WITH_VALUE: ReadonlySet<string> = new Set([
  '--store',
  '--host',
  '--actor',
  '--reason',
  '--request-id',
  '--key',
  '--wait',
]);

/**
 * Returns the server that a command line means: `--host`, else the one of `--store`, else
 * `$IMAGELOG_HOST`, else the one of the usual store. Undefined for a command that runs here.
 * @throws {StoreError} SERVER_UNAVAILABLE for a host that is no URL of a server
 */
export function targetOf(
  argv: readonly string[],
  env: CliIo['env'],
  commands: readonly CommandEntry[],
): Target | undefined {
  const { command, store, host, wait, isHelp } = readAsked(argv);
  const entry = commands.find(
    ({ usage, aliases }) => usage.split(' ')[0] === command || aliases?.includes(command ?? ''),
  );
  const may = entry?.may;
  if (may === undefined || entry?.asksServer === true || isHelp || host === false) return undefined;
  const asked = { may, store, host, wait };
  const named = host ?? (store === undefined ? nonEmpty(env['IMAGELOG_HOST']) : undefined);
  if (named !== undefined) return { ...asked, at: parseHost(named), isFound: false };
  const path = socketPathOf(storeDirectory(store, env));
  if (!isSocket(path)) return undefined;
  return { ...asked, at: { kind: 'unix', path }, isFound: true };
}

/** The server checks what was read here against the options as they are parsed. */
function readAsked(argv: readonly string[]): Asked {
  const values = new Map<string, string>();
  let command: string | undefined;
  let isHost = true;
  let isHelp = false;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--') break;
    const [name = '', ...rest] = word.split('=');
    if (!word.startsWith('-')) command ??= word;
    else if (WITH_VALUE.has(word)) values.set(word, argv[++at] ?? '');
    else if (WITH_VALUE.has(name)) values.set(name, rest.join('='));
    else if (word === '-h' || word === '--help') isHelp = true;
    if (name === '--host' || word === '--no-host') isHost = name === '--host';
    if (command === undefined && (word === '-V' || word === '--version')) isHelp = true;
  }
  const host = isHost ? values.get('--host') : false;
  return { command, store: values.get('--store'), host, wait: values.get('--wait'), isHelp };
}

function isSocket(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isSocket() === true;
  } catch {
    // What the store is, the command itself finds out.
    return false;
  }
}

/** Parses `unix:///path`, `http://host:port` or `https://host`. @throws {StoreError} SERVER_UNAVAILABLE */
function parseHost(text: string): Target['at'] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'unix:' && url.hostname === '' && url.pathname !== '') {
    return { kind: 'unix', path: decodeURIComponent(url.pathname) };
  }
  const kind = url?.protocol.slice(0, -1);
  if (url === undefined || (kind !== 'http' && kind !== 'https') || url.search !== '' || url.hash !== '') {
    throw new StoreError('SERVER_UNAVAILABLE', `the host ${text} is no URL of a server`, {
      data: {
        hint: 'a host is like unix:///srv/images/serve.sock, http://localhost:5000 or https://images.example.com',
      },
    });
  }
  const { username, password, port } = url;
  return {
    kind,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (kind === 'http' ? 80 : 443) : Number(port),
    prefix: url.pathname.replace(/\/$/, ''),
    user: username === '' ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`,
  };
}
