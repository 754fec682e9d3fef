import {
  HEADERS_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_ADDRESS,
  MAX_REQUEST_HEADER_BYTES,
  MAX_REQUESTS_IN_FLIGHT,
  MAX_UPLOAD_BYTES,
  MAX_UPLOADED_BYTES,
  MAX_UPLOADED_BYTES_PER_OWNER,
  MAX_UPLOADS,
  MAX_UPLOADS_PER_OWNER,
  MAX_URL_LENGTH,
  MIN_BODY_RATE,
  STALL_TIMEOUT_MS,
  STOP_TIMEOUT_MS,
  UPLOAD_EXPIRY_MS,
} from '../limits.js';
import { ADDRESS_EXPECTED, parseAddress, parseProxy, PROXY_EXPECTED } from '../server/service/addresses.js';
import { configOrigins, nonEmpty, parseWait, serveVariable } from './settings.js';
import { UsageError } from './exit-codes.js';
import type { CliIo } from './output.js';

/**
 * A setting of `imagelog serve`: the option `--NAME`, the variable `$IMAGELOG_SERVE_NAME`, and the
 * key `serve.NAME` of the configuration file, in this order.
 */
interface ServeSetting {
  readonly name: string;
  /** Word for the value in the help. */
  readonly value: string;
  readonly about: string;
  /** As it would be typed; absent where nothing is the default, or more than a text. */
  readonly usual?: string;
  /** Whether the option may be repeated; in variable and file, spaces or commas separate. */
  readonly isList?: boolean;
  /** What a value must be. */
  readonly expected: string;
  readonly isValid: (text: string) => boolean;
}

const isWhole = (text: string): boolean => /^\d{1,12}$/.test(text);
const isCount = (text: string): boolean => isWhole(text) && Number(text) > 0;
const file = { value: 'file', expected: 'the path of a file', isValid: (text: string) => text !== '' };
const duration = {
  value: 'duration',
  expected: 'a time like 30s or 2m',
  isValid: (text: string) => parseWait(text) !== undefined,
};
const count = { value: 'count', expected: 'a whole number from 1 up', isValid: isCount };
const bytes = { value: 'bytes', expected: 'a number of bytes from 1 up', isValid: isCount };

/** As `docker --host` has it: an absolute path. */
const DOCKER_SOCKET = /^unix:\/\/\/[^/]/;

/** All settings of `imagelog serve`, in the order of its help. */
export const serveSettings = [
  {
    name: 'listen',
    value: 'address',
    about: 'HOST:PORT; may be repeated',
    usual: '127.0.0.1:5000',
    isList: true,
    expected: ADDRESS_EXPECTED,
    isValid: (text: string) => parseAddress(text) !== undefined,
  },
  { name: 'socket', ...file, value: 'path', about: 'unix socket, or no (serve.sock in the store)' },
  {
    name: 'socket-mode',
    value: 'mode',
    about: '0600 for its owner alone, or 0660 for its group too',
    usual: '0600',
    expected: '0600 or 0660',
    isValid: (text: string) => text === '0600' || text === '0660',
  },
  {
    name: 'docker',
    value: 'socket',
    about: "unix:///PATH for docker's own clients; may be repeated",
    isList: true,
    expected: 'unix:///PATH',
    isValid: (text: string) => DOCKER_SOCKET.test(text),
  },
  { name: 'tls-cert', ...file, about: 'certificate for TLS, PEM; without it only this machine' },
  { name: 'tls-key', ...file, about: 'its private key, PEM' },
  { name: 'tls-client-ca', ...file, about: 'authorities of certificates that clients may show' },
  { name: 'access', ...file, about: 'who may what, JSON; without it all on this machine may do all' },
  { name: 'mirrors', ...file, about: 'repositories that come from other registries, JSON' },
  { name: 'webhooks', ...file, about: 'targets to which events are sent, JSON' },
  {
    name: 'trusted-proxies',
    value: 'address',
    about: 'proxies whose X-Forwarded-For is believed: addresses, networks, unix',
    isList: true,
    expected: PROXY_EXPECTED,
    isValid: (text: string) => parseProxy(text) !== undefined,
  },
  {
    name: 'metrics',
    value: 'who',
    about: 'who may read /metrics: read or all',
    usual: 'read',
    expected: 'read or all',
    isValid: (text: string) => text === 'read' || text === 'all',
  },
  { name: 'access-log', ...file, about: 'a line of JSON for each request; - is the output, stderr' },
  {
    name: 'stop-timeout',
    ...duration,
    about: 'how long requests may take to finish',
    usual: durationText(STOP_TIMEOUT_MS),
  },
  {
    name: 'headers-timeout',
    ...duration,
    about: 'for the headers of a request',
    usual: durationText(HEADERS_TIMEOUT_MS),
  },
  {
    name: 'idle-timeout',
    ...duration,
    about: 'how long idle connections are kept',
    usual: durationText(IDLE_TIMEOUT_MS),
  },
  {
    name: 'stall-timeout',
    ...duration,
    about: 'how long a body may be slower than --min-rate; 0 for ever',
    usual: durationText(STALL_TIMEOUT_MS),
  },
  { name: 'min-rate', ...bytes, about: 'bytes a second below which a body is slow', usual: String(MIN_BODY_RATE) },
  { name: 'max-connections', ...count, about: 'connections in all', usual: String(MAX_CONNECTIONS) },
  {
    name: 'max-per-address',
    ...count,
    about: 'connections of one address',
    usual: String(MAX_CONNECTIONS_PER_ADDRESS),
  },
  { name: 'max-requests', ...count, about: 'requests in progress, feeds apart', usual: String(MAX_REQUESTS_IN_FLIGHT) },
  { name: 'max-header-bytes', ...bytes, about: 'all headers of a request', usual: String(MAX_REQUEST_HEADER_BYTES) },
  { name: 'max-url-length', ...count, about: 'characters of path and query', usual: String(MAX_URL_LENGTH) },
  { name: 'max-upload-bytes', ...bytes, about: 'one upload', usual: String(MAX_UPLOAD_BYTES) },
  {
    name: 'max-uploaded-bytes',
    ...bytes,
    about: 'all that waits for a manifest',
    usual: String(MAX_UPLOADED_BYTES),
  },
  {
    name: 'max-user-upload-bytes',
    ...bytes,
    about: 'the same, of one user',
    usual: String(MAX_UPLOADED_BYTES_PER_OWNER),
  },
  { name: 'max-uploads', ...count, about: 'uploads in progress', usual: String(MAX_UPLOADS) },
  { name: 'max-uploads-per-user', ...count, about: 'the same, of one user', usual: String(MAX_UPLOADS_PER_OWNER) },
  {
    name: 'upload-expiry',
    ...duration,
    about: 'how long what is uploaded may wait for a manifest',
    usual: durationText(UPLOAD_EXPIRY_MS),
  },
] as const satisfies readonly ServeSetting[];

/** Name of a setting of `imagelog serve`. */
export type ServeName = (typeof serveSettings)[number]['name'];

function durationText(durationMs: number): string {
  if (durationMs % 3_600_000 === 0) return `${durationMs / 3_600_000}h`;
  return durationMs % 1_000 === 0 ? `${durationMs / 1_000}s` : `${durationMs}ms`;
}

/** A setting as it is in use. */
export interface MadeSetting {
  readonly setting: ServeSetting;
  /** One for most, none where nothing is the default. */
  readonly values: readonly string[];
  /** `--NAME`, the variable with its dollar, or path and line of the file; undefined for the default. */
  readonly source: string | undefined;
}

/** Values of options as they were typed; false for `--no-…`. */
export type TypedValues = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

/**
 * Returns every setting of `imagelog serve`: of its options, else the environment, else the file.
 * @throws {UsageError} naming the place of a wrong value or unknown key
 */
export function madeSettings(env: CliIo['env'], typed: TypedValues): ReadonlyMap<string, MadeSetting> {
  const origins = configOrigins(env);
  for (const [key, origin] of origins) {
    if (!key.startsWith('serve.') || serveSettings.some(({ name }) => key === `serve.${name}`)) continue;
    const keys = serveSettings.map(({ name }) => `serve.${name}`).join(', ');
    throw new UsageError(`${origin}: no such key: "${key}"; those of serve are ${keys}`, { hint: HINT });
  }
  return new Map(serveSettings.map((setting) => [setting.name, made(setting, env, { typed, origins })]));
}

const HINT = '`imagelog serve --help` lists the settings';

function made(
  setting: ServeSetting,
  env: CliIo['env'],
  { typed, origins }: { readonly typed: TypedValues; readonly origins: ReadonlyMap<string, string> },
): MadeSetting {
  const { name, usual, isList = false, isValid, expected } = setting;
  const option = typed[name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
  const variable = serveVariable(name);
  const text = nonEmpty(env[variable]);
  let values: readonly string[] = usual === undefined ? [] : [usual];
  let source: string | undefined;
  if (option !== undefined && option !== true) {
    source = option === false ? `--no-${name}` : `--${name}`;
    values = option === false ? ['no'] : [option].flat();
  } else if (text !== undefined) {
    source = origins.get(`serve.${name}`) ?? `$${variable}`;
    values = isList ? text.split(/[\s,]+/).filter((each) => each !== '') : [text];
  }
  const wrong = values.find((value) => !isValid(value));
  if (wrong !== undefined && source !== undefined) {
    throw new UsageError(`${source}: ${name} is ${JSON.stringify(wrong)}, expected ${expected}`, { hint: HINT });
  }
  return { setting, values, source };
}
