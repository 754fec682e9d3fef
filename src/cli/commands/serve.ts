import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { isStoreError, loadCode } from '../../errors.js';
import type { RunCommand } from '../../server/command/frames.js';
import { isLoopback } from '../../model/http.js';
import { parseAddress } from '../../server/service/addresses.js';
import type { AccessLogTarget, ServeOptions, Serving } from '../../server/service/serve-store.js';
import { socketPathOf } from '../store-directory.js';
import { readSidecarBytes } from '../../store/open/sidecar.js';
import type { OpenOptions } from '../../store/store.js';
import { credentialFinder } from '../../registry-client/credentials.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { parseWait, withConfig } from '../settings.js';
import { type CommandContext, contextOf } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { noticeLine } from '../failure.js';
import { withOwnHint } from '../hints.js';
import { openFor } from '../open-for.js';
import { option, repeated } from '../option-values.js';
import { printable } from '../../model/texts.js';
import { jsonText } from '../render/text.js';
import { madeSettings, type MadeSetting, type ServeName, serveSettings, type TypedValues } from '../serve-settings.js';

type ServeFlags = TypedValues & { readonly config?: string };

/** `imagelog serve`: serves the store over HTTP until a signal ends it. */
export const serveGrammar: Grammar = ({ run }, command) => ({
  about:
    'A registry that docker, podman and others push to and pull from, the feed of events, and the socket that other ' +
    'commands use. Creates a missing store. With --at the whole store is served as it was, read-only. ' +
    'SIGTERM and Ctrl-C end it once requests are finished, a second one at once; SIGHUP reads certificates and opens the ' +
    'access log again. An option --NAME is $IMAGELOG_SERVE_NAME too, and serve.NAME in the configuration file, where ' +
    'spaces or commas separate several values; `imagelog env` lists what is set.',
  examples: [
    ['imagelog serve', 'serve this machine, at 127.0.0.1:5000'],
    ['imagelog serve --listen 0.0.0.0:5443 --tls-cert a.crt --tls-key a.key --access a.json', 'serve other machines'],
    ['imagelog serve --docker unix:///run/imagelog/docker.sock', 'for docker images, tag, rmi, load, save, events'],
    ['imagelog serve --at "last tuesday" --listen 127.0.0.1:5001', 'serve what was there then'],
  ],
  options: [
    option('--config <file>', 'the configuration file, instead of the usual one ($IMAGELOG_CONFIG)', nonEmptyText),
    ...serveSettings.flatMap(optionsOf),
  ],
  action: (context: CommandContext, flags: ServeFlags) => serve(configured(context, command, flags), flags, run),
});

function optionsOf(setting: (typeof serveSettings)[number]): ReturnType<typeof option>[] {
  const { name, value, about } = setting;
  const usual = 'usual' in setting ? ` (${setting.usual})` : '';
  const flags = `--${name} <${value}>`;
  const text = `${about}${usual}`;
  const made = 'isList' in setting ? option(flags, text, repeated) : option(flags, text, nonEmptyText);
  return name === 'socket' ? [made, option('--no-socket', 'no unix socket')] : [made];
}

/** Returns the context with the settings of the file that `--config` names. */
function configured(context: CommandContext, command: Command, { config }: ServeFlags): CommandContext {
  if (config === undefined) return context;
  const { out, err, at, errColors } = context;
  const io = withConfig(context.io, config);
  return contextOf(
    command,
    io,
    { out, err },
    { at, entry: { ownStore: true }, onNotice: (notice) => err.post(noticeLine(notice, errColors)) },
  );
}

const OWN_HINTS = {
  ADDRESS_IN_USE: '`--listen HOST:PORT` names another one; port 0 lets the system choose',
  ADDRESS_REFUSED:
    '`--listen 127.0.0.1:PORT` is for this machine, others need `--tls-cert` and `--tls-key`; `--socket` and `--docker` take another path',
} as const;

async function serve(context: CommandContext, flags: TypedValues, run: Parameters<Grammar>[0]['run']): Promise<void> {
  const settings = madeSettings(context.io.env, flags);
  const onNotice = noticesOf(context);
  const { checkServing, serveStore } = await loadCode('of the server', import('../../server/service/serve-store.js'));
  const { servedRunner } = await loadCode('that runs commands', import('../served/run-served.js'));
  const options = serveOptions(context, settings, { onNotice, runCommand: servedRunner(run) });
  await withHint(checkNewStore(context, () => checkServing(withoutOwnSocket(context, options))));
  await using store = await openFor(context, context.at === undefined ? 'create' : 'read', {
    uploads: uploadLimits(settings),
  });
  const serving = await withHint(serveStore(store, options));
  if (mayNobodyElse(options)) onNotice('no --access: other machines may do nothing');
  context.io.onHangup?.(() => void serving.reload());
  await announce(context, serving, options);
  await aborted(context.io.signal);
  const cut = await serving.stop(durationOf(settings, 'stop-timeout'));
  if (cut > 0) onNotice(`${cut} connections were cut: they took longer than --stop-timeout`);
}

/** A store that is missing is created only where it can be served. */
async function checkNewStore({ at, directory }: CommandContext, check: () => Promise<void>): Promise<void> {
  if (at !== undefined) return;
  // What cannot be read fails the opening, which says why.
  const isMissing = await readSidecarBytes(directory).then(
    (bytes) => bytes === undefined,
    () => false,
  );
  if (isMissing) await check();
}

/** The directory of a new store has no socket yet. */
function withoutOwnSocket({ directory }: CommandContext, options: ServeOptions): ServeOptions {
  const { socket } = options;
  return socket === undefined || resolve(dirname(socket)) !== resolve(directory)
    ? options
    : { ...options, socket: undefined };
}

function withHint<Result>(starting: Promise<Result>): Promise<Result> {
  return starting.catch((error: unknown) => {
    throw withOwnHint(error, OWN_HINTS);
  });
}

/** Whether it listens to other machines, which nothing gives a right. */
function mayNobodyElse({ listen, files }: ServeOptions): boolean {
  return files?.access === undefined && listen.some(({ host }) => !isLoopback(host));
}

/** Each time: a notice may be true again. */
function noticesOf({ err, errColors }: CommandContext): (notice: string) => void {
  return (notice) => void err.line(noticeLine(notice, errColors)).catch(() => undefined);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

type Settings = ReadonlyMap<string, MadeSetting>;

function valuesOf(settings: Settings, name: ServeName): readonly string[] {
  return settings.get(name)?.values ?? [];
}

function textOf(settings: Settings, name: ServeName): string | undefined {
  return valuesOf(settings, name)[0];
}

function numberOf(settings: Settings, name: ServeName): number | undefined {
  const text = textOf(settings, name);
  return text === undefined ? undefined : Number(text);
}

function durationOf(settings: Settings, name: ServeName): number | undefined {
  return parseWait(textOf(settings, name) ?? '');
}

function serveOptions(
  context: CommandContext,
  settings: Settings,
  { onNotice, runCommand }: { readonly onNotice: (notice: string) => void; readonly runCommand: RunCommand },
): ServeOptions {
  return {
    server: {
      at: context.at,
      runCommand,
      metrics: textOf(settings, 'metrics') === 'all' ? 'all' : 'read',
      upstreamCredentials: credentialFinder(context.io.env),
      trustedProxies: valuesOf(settings, 'trusted-proxies'),
      limits: {
        maxUrlLength: numberOf(settings, 'max-url-length'),
        maxRequests: numberOf(settings, 'max-requests'),
        stallTimeoutMs: durationOf(settings, 'stall-timeout'),
        minRate: numberOf(settings, 'min-rate'),
      },
      onFailure: (error) => onNotice(`a request failed: ${failureText(error)}`),
    },
    listen: valuesOf(settings, 'listen').flatMap((text) => parseAddress(text) ?? []),
    socket: socketOf(context, textOf(settings, 'socket')),
    socketMode: textOf(settings, 'socket-mode') === '0660' ? 0o660 : 0o600,
    docker: valuesOf(settings, 'docker').map((text) => text.slice('unix://'.length)),
    tls: tlsOf(settings),
    files: {
      access: textOf(settings, 'access'),
      mirrors: textOf(settings, 'mirrors'),
      webhooks: webhooksOf(context, textOf(settings, 'webhooks')),
    },
    accessLog: accessLogOf(context, textOf(settings, 'access-log')),
    limits: {
      maxHeaderBytes: numberOf(settings, 'max-header-bytes'),
      headersTimeoutMs: durationOf(settings, 'headers-timeout'),
      idleTimeoutMs: durationOf(settings, 'idle-timeout'),
      maxConnections: numberOf(settings, 'max-connections'),
      maxConnectionsPerAddress: numberOf(settings, 'max-per-address'),
    },
    onNotice,
  };
}

/** An error of the store says all; of another one the stack says where it is from. */
function failureText(error: unknown): string {
  if (isStoreError(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function uploadLimits(settings: Settings): OpenOptions['uploads'] {
  return {
    uploadBytes: numberOf(settings, 'max-upload-bytes'),
    bytes: numberOf(settings, 'max-uploaded-bytes'),
    bytesPerOwner: numberOf(settings, 'max-user-upload-bytes'),
    uploads: numberOf(settings, 'max-uploads'),
    uploadsPerOwner: numberOf(settings, 'max-uploads-per-user'),
    expiryMs: durationOf(settings, 'upload-expiry'),
  };
}

function socketOf({ at, directory }: CommandContext, text: string | undefined): string | undefined {
  if (text !== undefined) return text === 'no' ? undefined : text;
  // Commands that find it there speak of the present.
  return at === undefined ? socketPathOf(directory) : undefined;
}

function webhooksOf({ at }: CommandContext, file: string | undefined): string | undefined {
  if (at === undefined || file === undefined) return file;
  throw new UsageError('a server of the past sends no webhooks: leave out --at or --webhooks');
}

function tlsOf(settings: Settings): ServeOptions['tls'] {
  const [cert, key, clientCa] = (['tls-cert', 'tls-key', 'tls-client-ca'] as const).map((name) =>
    textOf(settings, name),
  );
  if (cert !== undefined && key !== undefined) return { cert, key, clientCa };
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  throw new UsageError('TLS needs both --tls-cert and --tls-key');
}

function accessLogOf({ io }: CommandContext, text: string | undefined): AccessLogTarget | undefined {
  if (text === '-') return io.stdout;
  return text === 'stderr' ? io.stderr : text;
}

async function announce(
  context: CommandContext,
  { urls }: Serving,
  { accessLog: log, docker = [] }: ServeOptions,
): Promise<void> {
  const { json, quiet, directory, io, out, err } = context;
  // A log on the output has nothing but its lines.
  const said = log === io.stdout ? err : out;
  if (json) return said.line(jsonText({ urls, store: directory, pid: process.pid }));
  if (quiet) return;
  await said.line(printable(`serving ${directory} at ${urls.join(', ')}`));
  for (const path of docker)
    await said.line(printable(`docker's own clients: DOCKER_HOST=unix://${path} docker images`));
  const [registry] = urls.flatMap((url) => /^https?:\/\/(.*)$/.exec(url)?.[1] ?? []);
  if (registry === undefined) return;
  const host = registry.replace(/^127\.0\.0\.1:/, 'localhost:').replace(/^(?:0\.0\.0\.0|\[::\]):/, 'HOST:');
  const what = context.at === undefined ? 'push to it: docker push' : 'pull from it: docker pull';
  await said.line(printable(`${what} ${host}/NAME:TAG`));
}
