import { StoreError } from '../../errors.js';
import { familiarReference, formatReference, parseReference } from '../../model/reference.js';
import type { Credentials, FindCredentials } from '../../registry-client/credentials.js';
import { loadPulled, Pull } from '../../registry-client/pull.js';
import { pushImage } from '../../registry-client/push.js';
import { HttpFailure } from '../failure.js';
import { type Docker, type DockerExchange, requireWrite, writeOptions } from './docker.js';
import { withProgress } from './progress.js';
import { badRequest } from './failures.js';
import { platformOf } from './image-source.js';

/** Pulls an image: all platforms with their index, unless one is asked for. Answers once it is there whole. */
export async function pullImage(c: DockerExchange, docker: Docker, fromImage: string): Promise<Response> {
  const { store, signal } = docker.service;
  const { tag = '', platform = '' } = c.req.query();
  const name = pulledName(fromImage, tag);
  const options = { credentials: credentialsOf(c), signal, platform: platform === '' ? [] : [platform] };
  const { path, tag: pulledTag = '' } = parseReference(name);
  const shown = { isWanted: isCommandLine(c), status: 'Downloading', id: pulledTag };
  return withProgress(c, docker, shown, async (onProgress) => {
    const pulled = await asAnswer(async () => {
      const pull = await Pull.begin(name, options);
      try {
        const load = { ...writeOptions(c), via: 'pull', signal, onProgress };
        return await loadPulled(store, pull.content(store.directory), load);
      } finally {
        pull.close();
      }
    });
    const isNew = pulled.images.some(({ created }) => created);
    return [
      { status: `Pulling from ${path}`, id: pulledTag },
      ...pulled.notices.map((status) => ({ status })),
      { status: `Digest: ${pulled.digest}` },
      {
        status: `Status: ${isNew ? 'Downloaded newer image for' : 'Image is up to date for'} ${familiarReference(name)}`,
      },
    ];
  });
}

/** A digest comes as a tag. @throws {HttpFailure} 400 */
function pulledName(fromImage: string, tag: string): string {
  const { domain, path, digest, tag: own } = named(fromImage);
  if (tag === '' && digest !== undefined) return formatReference({ domain, path, digest });
  const name = tag.includes(':')
    ? `${domain}/${path}@${tag}`
    : `${domain}/${path}:${tag === '' ? (own ?? 'latest') : tag}`;
  return formatReference(named(name));
}

function named(text: string): ReturnType<typeof parseReference> {
  try {
    return parseReference(text);
  } catch (error) {
    throw error instanceof StoreError ? badRequest(`invalid reference format: ${error.message}`) : error;
  }
}

/** Pushes one name to its registry. Answers once it is there whole. */
export async function pushed(c: DockerExchange, docker: Docker, given: string): Promise<Response> {
  requireWrite(c, docker, 'push');
  const { store, signal } = docker.service;
  const { tag = '', platform } = c.req.query();
  const { domain, path, tag: own } = named(given);
  const name = `${domain}/${path}:${tag === '' ? (own ?? 'latest') : tag}`;
  const pushedTag = parseReference(name).tag ?? '';
  const shown = { isWanted: isCommandLine(c), status: 'Pushing', id: pushedTag };
  return withProgress(c, docker, shown, async (onProgress) => {
    const options = { credentials: credentialsOf(c), signal, platform: platformOf(platform), onProgress };
    const result = await asAnswer(() => pushImage(store, { name, target: name }, options));
    return [
      { status: `The push refers to repository [${domain}/${path}]` },
      ...result.notices.map((status) => ({ status })),
      { status: `${pushedTag}: digest: ${result.digest}` },
      { progressDetail: {}, aux: { Tag: pushedTag, Digest: result.digest } },
    ];
  });
}

/** SDKs see no failure in a stream; the command line does. */
function isCommandLine(c: DockerExchange): boolean {
  return c.req.header('user-agent')?.startsWith('Docker-Client/') === true;
}

/**
 * 401 would make the docker command line ask for a password, and wait. Of 503 the SDK for Ruby tells
 * the status alone, of 500 the message.
 */
async function asAnswer<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const status = { REGISTRY_NOT_FOUND: 404, REGISTRY_DENIED: 403, REGISTRY_UNAVAILABLE: 500 }[error.code as string];
    if (status !== undefined) throw new HttpFailure(status, 'UPSTREAM_FAILED', error.message);
    throw error;
  }
}

/** Reads `X-Registry-Auth`: what the client knows of the registry. */
function credentialsOf(c: DockerExchange): FindCredentials {
  return async () => ({ credentials: sentCredentials(c.req.header('x-registry-auth')), places: ['X-Registry-Auth'] });
}

function sentCredentials(header: string | undefined): Credentials | undefined {
  if (header === undefined || header === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64url').toString());
  } catch {
    throw badRequest('X-Registry-Auth is not base64 of JSON');
  }
  const sent = Object(value) as Readonly<Record<string, unknown>>;
  const text = (key: string): string => (typeof sent[key] === 'string' ? sent[key] : '');
  if (text('identitytoken') !== '') return { type: 'identity', token: text('identitytoken') };
  if (text('registrytoken') !== '') return { type: 'access', token: text('registrytoken') };
  if (text('username') === '') return undefined;
  return { type: 'password', username: text('username'), password: text('password') };
}
