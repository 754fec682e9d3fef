import { InvalidArgumentError } from 'commander';
import { loadCode } from '../../errors.js';
import { ADDRESS_EXPECTED, type ListenAddress, parseAddress } from '../../server/service/address.js';
import type { ServeOptions, Serving } from '../../server/service/serve-store.js';
import { socketPathOf } from '../../server/service/socket.js';
import { type Grammar, nonEmptyText } from '../command.js';
import type { CommandContext } from '../context.js';
import { noticeLine } from '../failure.js';
import { openFor } from '../open-for.js';
import { listOf, option } from '../option-values.js';
import { jsonText, printable } from '../render/text.js';

interface ServeFlags {
  readonly listen?: readonly ListenAddress[];
  readonly socket?: string | boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
}

const DEFAULT_ADDRESS: ListenAddress = { host: '127.0.0.1', port: 5_000 };

/** `imagelog serve`: serves the store over HTTP until it is told to stop. */
export const serveGrammar: Grammar = () => ({
  about:
    'A registry that docker, podman and others push to and pull from, the feed of events, and the socket that other ' +
    'commands use. Creates the store when there is none. SIGTERM ends it once requests are finished, a second one at ' +
    'once; SIGHUP has certificates read again.',
  examples: [
    ['imagelog serve', 'serve this machine, at 127.0.0.1:5000'],
    ['imagelog serve --listen 0.0.0.0:5443 --tls-cert tls.crt --tls-key tls.key', 'serve other machines'],
  ],
  options: [
    option('--listen <address>', 'HOST:PORT; may be repeated (127.0.0.1:5000)', listOf(listenAddress)),
    option('--socket <path>', 'unix socket (serve.sock in the store)', nonEmptyText),
    option('--no-socket', 'no unix socket'),
    option('--tls-cert <file>', 'certificate of TLS, PEM', nonEmptyText),
    option('--tls-key <file>', 'its private key, PEM', nonEmptyText),
    option('--tls-client-ca <file>', 'authorities of certificates that clients may show', nonEmptyText),
  ],
  action: serve,
});

function listenAddress(text: string): ListenAddress {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new InvalidArgumentError(`It must be ${ADDRESS_EXPECTED}.`);
}

async function serve(context: CommandContext, flags: ServeFlags): Promise<void> {
  const { err, errColors } = context;
  const { serveStore } = await loadCode('of the server', import('../../server/service/serve-store.js'));
  await using store = await openFor(context, context.at === undefined ? 'create' : 'read');
  const options = serveOptions(context, flags, (notice) => err.post(noticeLine(notice, errColors)));
  const serving = await serveStore(store, options);
  await announce(context, serving);
  const ended = endOf(context, serving);
  await ended;
  await serving.stop();
}

function serveOptions(context: CommandContext, flags: ServeFlags, onNotice: (notice: string) => void): ServeOptions {
  const { tlsCert, tlsKey, tlsClientCa } = flags;
  const tls =
    tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey, clientCa: tlsClientCa };
  const usualSocket = context.at === undefined ? socketPathOf(context.directory) : undefined;
  return {
    server: {},
    listen: flags.listen ?? [DEFAULT_ADDRESS],
    socket: flags.socket === false ? undefined : typeof flags.socket === 'string' ? flags.socket : usualSocket,
    tls,
    onNotice,
  };
}

async function announce({ out, json, quiet, directory }: CommandContext, { urls }: Serving): Promise<void> {
  if (json) return out.line(jsonText({ urls, store: directory, pid: process.pid }));
  if (quiet) return;
  await out.line(printable(`serving ${directory} at ${urls.join(', ')}`));
  const registry = urls
    .find((url) => url.startsWith('http'))
    ?.replace(/^https?:\/\//, '')
    .replace(/^127\.0\.0\.1:/, 'localhost:');
  if (registry !== undefined) await out.line(printable(`push to it: docker push ${registry}/NAME:TAG`));
}

/** Resolves once the process is told to end. */
async function endOf({ io: { signal } }: CommandContext, _serving: Serving): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
