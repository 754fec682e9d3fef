import { StoreError } from '../../errors.js';
import { formatPlatform, isWanted, parsePlatform } from '../../model/platform.js';
import { familiarReference, formatReference, parseReference, type Reference } from '../../model/reference.js';
import type { Credentials, FindCredentials } from '../../registry-client/credentials.js';
import { loadPulled, Pull, type PullResult } from '../../registry-client/pull.js';
import { pushImage } from '../../registry-client/push.js';
import { RegistryClient } from '../../registry-client/registry-client.js';
import { type RegistryOptions, RegistrySession } from '../../registry-client/registry-session.js';
import type { EventStore } from '../../store/event-store.js';
import { HttpFailure } from '../failure.js';
import { type Docker, type DockerExchange, requireWrite, type Tell, withProgress, writeOptions } from './docker.js';
import { badRequest } from './failures.js';
import { platformOf } from './image-source.js';

/**
 * Pulls an image: all platforms with their index, unless one is asked for. Without a tag, as
 * `docker pull --all-tags` sends it, each tag of the repository is a transaction. Answers at the end.
 */
export async function pullImage(c: DockerExchange, docker: Docker, fromImage: string): Promise<Response> {
  const { platform = '', tag = '' } = c.req.query();
  const options = { credentials: credentialsOf(c), platform: platform === '' ? [] : [platform] };
  const asked = pulledName(fromImage, tag);
  const shown = { isWanted: isCommandLine(c), status: 'Downloading', id: asked.tag ?? asked.path };
  return withProgress(c, docker, shown, (tell) =>
    asAnswer(async () => {
      const session = { ...options, signal: docker.service.signal };
      if (asked.tag !== undefined || asked.digest !== undefined) {
        return pullOne(c, docker, formatReference(asked), { session, tell });
      }
      const values: (readonly object[])[] = [];
      for (const each of await tagsOf(asked, session)) {
        values.push(await pullOne(c, docker, formatReference({ ...asked, tag: each }), { session, tell }));
      }
      return values.flat();
    }),
  );
}

interface Pulling {
  readonly session: RegistryOptions & { readonly platform: readonly string[] };
  readonly tell: Tell;
}

async function pullOne(
  c: DockerExchange,
  docker: Docker,
  name: string,
  { session, tell }: Pulling,
): Promise<readonly object[]> {
  const { store, signal } = docker.service;
  const { domain, path, tag = '' } = parseReference(name);
  const pull = await Pull.begin(name, session);
  try {
    // As in dockerd what was pulled keeps a name by its digest, which clients know it by.
    const byDigest = formatReference({ domain, path, digest: pull.digest });
    const load = { ...writeOptions(c), via: 'pull', tag: byDigest, signal, onProgress: tell };
    const pulled = await loadPulled(store, pull.content(store.directory), load);
    const isNew = pulled.images.some(({ created }) => created);
    return [
      { status: `Pulling from ${path}`, id: tag },
      ...[...pulled.notices, ...otherPlatforms(store, pulled, session.platform)].map((status) => ({ status })),
      { status: `Digest: ${pulled.digest}` },
      {
        status: `Status: ${isNew ? 'Downloaded newer image for' : 'Image is up to date for'} ${familiarReference(name)}`,
      },
    ];
  } finally {
    pull.close();
  }
}

/** An image that is not of an index comes for any platform. */
function otherPlatforms(
  store: Pick<EventStore, 'get'>,
  { images, reference }: PullResult,
  platform: readonly string[],
): readonly string[] {
  const wanted = platform.map(parsePlatform);
  const found = images.map(({ id }) => store.get(id).platform());
  return found
    .filter((each) => !isWanted(wanted, each))
    .map(
      (each) =>
        `WARNING: image with reference ${familiarReference(reference)} was found but does not match the specified ` +
        `platform: wanted ${wanted.map(formatPlatform).join(', ')}, actual: ${formatPlatform(each)}`,
    );
}

async function tagsOf({ domain, path }: Reference, options: RegistryOptions): Promise<readonly string[]> {
  const session = new RegistrySession(domain, options);
  try {
    const tags: string[] = [];
    for await (const tag of new RegistryClient(session, path).tags()) tags.push(tag);
    if (tags.length === 0) throw new HttpFailure(404, 'UPSTREAM_FAILED', `${domain}/${path} has no tags`);
    return tags;
  } finally {
    session.close();
  }
}

/** A digest comes as a tag. @throws {HttpFailure} 400 */
function pulledName(fromImage: string, tag: string): Reference {
  const { domain, path, digest, tag: own } = named(fromImage);
  if (tag !== '') return named(`${domain}/${path}${tag.includes(':') ? '@' : ':'}${tag}`);
  return digest === undefined ? { domain, path, tag: own } : { domain, path, digest };
}

function named(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    throw error instanceof StoreError ? badRequest(`invalid reference format: ${error.message}`) : error;
  }
}

/** Pushes one name to its registry, or all tags of a repository. Answers once they are there whole. */
export async function pushed(c: DockerExchange, docker: Docker, given: string): Promise<Response> {
  requireWrite(c, docker, 'push');
  const { store, signal } = docker.service;
  const { tag = '', platform } = c.req.query();
  const { domain, path, tag: own } = named(given);
  const repository = formatReference({ domain, path });
  const one = tag === '' ? own : tag;
  const names = one === undefined ? namesIn(store, repository) : [formatReference(named(`${repository}:${one}`))];
  if (names.length === 0) {
    throw new HttpFailure(404, 'NAME_UNKNOWN', `An image does not exist locally with the tag: ${repository}`);
  }
  const shown = { isWanted: isCommandLine(c), status: 'Pushing', id: one ?? path };
  const options = { credentials: credentialsOf(c), signal, platform: platformOf(platform) };
  return withProgress(c, docker, shown, (onProgress) =>
    asAnswer(async () => {
      const values: (readonly object[])[] = [[{ status: `The push refers to repository [${repository}]` }]];
      for (const name of names) {
        const { tag: Tag = '' } = parseReference(name);
        const { digest, notices } = await pushImage(store, { name, target: name }, { ...options, onProgress });
        values.push([
          ...notices.map((status) => ({ status })),
          { status: `${Tag}: digest: ${digest}` },
          { progressDetail: {}, aux: { Tag, Digest: digest } },
        ]);
      }
      return values.flat();
    }),
  );
}

function namesIn(store: Pick<EventStore, 'referenceEntries'>, repository: string): readonly string[] {
  const references = store.referenceEntries().map(({ reference }) => reference);
  return references.filter((name) => name.startsWith(`${repository}:`)).sort();
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
