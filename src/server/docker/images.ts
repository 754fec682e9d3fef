import { Hono } from 'hono';
import type { ImageId } from '../../model/digest.js';
import { formatReference, parseReference } from '../../model/reference.js';
import { isStoreError } from '../../errors.js';
import { instantOf, type Timestamp, timestampFromMs, ZERO_TIMESTAMP } from '../../model/timestamp.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import { type Docker, type DockerExchange, flag, json, minorOf, requireWrite, writeOptions } from './docker.js';
import { badRequest, noSuchImage, notImplemented } from './failures.js';
import { parseFilters } from './filters.js';
import { listImages } from './image-list.js';
import { findImage, imageNames, type ImageSource, platformOf, platformsOf } from './image-source.js';
import { pruneImages, removeNamed, removePlatforms } from './removal.js';
import { type ContainerConfig, containerConfigCodec } from '../../model/container-config.js';
import type { Image } from '../../model/image.js';
import { createChainIds } from '../../model/rootfs.js';

/** `/images`: what is there, and what changes it without an archive. */
export function imageRoutes(docker: Docker): Hono<ServerEnv> {
  const { service } = docker;
  const routes = new Hono<ServerEnv>();
  routes.get('/json', async (c) => {
    requireAction(c, service, 'read');
    return json(c, await listImages(await docker.images(), listRequest(c, docker)));
  });
  routes.post('/prune', async (c) => {
    requireWrite(c, docker, 'delete');
    const filters = parseFilters(c.req.query('filters'));
    return json(c, await pruneImages(service.store, filters, { write: writeOptions(c), nowMs: Date.now() }));
  });
  routes.get('/search', (c) => {
    requireAction(c, service, 'read');
    throw notImplemented('search a registry');
  });
  routes.get('/:name{.+}/json', async (c) => {
    requireAction(c, service, 'read');
    const images = await docker.images();
    const { id } = findImage(images, c.req.param('name'), platformOf(c.req.query('platform')));
    return json(c, imageFacts(images, id, await lastTagTime(docker, id), minorOf(c)));
  });
  routes.get('/:name{.+}/history', async (c) => {
    requireAction(c, service, 'read');
    const images = await docker.images();
    const { id } = findImage(images, c.req.param('name'), platformOf(c.req.query('platform')));
    return json(c, historyOf(images, id));
  });
  routes.post('/:name{.+}/tag', async (c) => tagImage(c, docker));
  routes.delete('/:name{.+}', async (c) => {
    requireWrite(c, docker, 'delete');
    const options = { force: flag(c, 'force'), prune: !flag(c, 'noprune'), write: writeOptions(c) };
    const name = c.req.param('name');
    const platforms = platformsOf(c.req.queries('platforms'));
    if (platforms.length > 0) return json(c, await removePlatforms(service.store, { name, platforms }, options));
    return json(c, await removeNamed(service.store, name, options));
  });
  return routes;
}

function listRequest(c: DockerExchange, { service }: Docker): Parameters<typeof listImages>[1] {
  const minor = minorOf(c);
  return {
    all: flag(c, 'all'),
    filters: parseFilters(c.req.query('filters')),
    withShared: flag(c, 'shared-size'),
    withManifests: minor >= 47 && flag(c, 'manifests') ? service.store.layers.map() : undefined,
    containers: minor < 51 ? -1 : 0,
    minor,
    nowMs: Date.now(),
  };
}

/** When an image last got a name, at the moment that is served. */
async function lastTagTime({ service }: Docker, id: ImageId): Promise<Timestamp> {
  const { store, past } = service;
  const to = (await past) ?? store.log.head.seq;
  if (to === 0) return ZERO_TIMESTAMP;
  for await (const { time } of store.history(id, { to, type: 'ReferenceSet', reverse: true, limit: 1 })) {
    return timestampFromMs(time);
  }
  return ZERO_TIMESTAMP;
}

async function tagImage(c: DockerExchange, docker: Docker): Promise<Response> {
  requireWrite(c, docker, 'push');
  const { store } = docker.service;
  const name = c.req.param('name') ?? '';
  const target = targetOf(c.req.query('repo'), c.req.query('tag'));
  try {
    await store.tag({ source: sourceOf(store, name), target }, writeOptions(c));
  } catch (error) {
    // It went meanwhile.
    throw isStoreError(error) && error.kind === 'NotFound' ? noSuchImage(name) : error;
  }
  return c.body(null, 201, { 'content-length': '0' });
}

/** A reference is copied with all its platforms. */
function sourceOf(store: ImageSource, name: string): string {
  const { id, reference } = findImage(store, name);
  return reference ?? id;
}

/** Returns the reference that a client names in two parts; the tag apart wins. @throws {HttpFailure} 400 */
export function targetOf(repository: string | undefined, tag: string | undefined): string {
  try {
    const { domain, path, digest, tag: own } = parseReference(repository ?? '');
    if (digest !== undefined) throw badRequest('refusing to create a tag with a digest reference');
    if (/(?:^|\/)sha(?:256|384|512)$/.test(path)) {
      throw badRequest('refusing to create an ambiguous tag using digest algorithm as name');
    }
    const reference = formatReference({ domain, path, tag: tag === undefined || tag === '' ? (own ?? 'latest') : tag });
    parseReference(reference);
    return reference;
  } catch (error) {
    if (!isStoreError(error, 'REFERENCE_INVALID')) throw error;
    throw badRequest(`invalid reference format: ${error.message}`);
  }
}

/** Settings that are of a container, not of an image: gone since 1.50. */
const OF_CONTAINERS: ReadonlySet<string> = new Set([
  'Hostname',
  'Domainname',
  'AttachStdin',
  'AttachStdout',
  'AttachStderr',
  'Tty',
  'OpenStdin',
  'StdinOnce',
  'Image',
  'NetworkDisabled',
  'MacAddress',
  'StopTimeout',
]);

/** Returns an image as `docker inspect` shows it. */
function imageFacts(source: ImageSource, id: ImageId, lastTagTime: Timestamp, minor: number): object {
  const image = source.get(id);
  const { tags, digests } = imageNames(source.references(id));
  const size = Number(image.details?.size ?? 0);
  const { variant, osVersion, rootFS } = image;
  return {
    Id: id,
    RepoTags: tags,
    RepoDigests: digests,
    Parent: image.parent,
    Comment: image.comment,
    ...createdOf(image, minor),
    ...(minor < 45 ? { Container: image.container, ContainerConfig: settings(image.containerConfig, minor) } : {}),
    DockerVersion: image.dockerVersion,
    Author: image.author,
    Config: image.config === undefined ? null : settings(image.config, minor),
    Architecture: image.architecture,
    ...(variant === '' ? {} : { Variant: variant }),
    Os: image.os,
    ...(osVersion === '' ? {} : { OsVersion: osVersion }),
    Size: size,
    ...(minor < 44 ? { VirtualSize: size } : {}),
    GraphDriver: { Data: null, Name: image.details?.driver ?? '' },
    RootFS: { Type: rootFS.type, ...(rootFS.diffIds.length === 0 ? {} : { Layers: rootFS.diffIds }) },
    Metadata: { LastTagTime: lastTagTime },
  };
}

function createdOf({ created }: Image, minor: number): { readonly Created?: Timestamp } {
  if (created !== undefined) return { Created: created };
  return minor < 44 ? { Created: ZERO_TIMESTAMP } : {};
}

function settings(config: ContainerConfig, minor: number): unknown {
  const all = JSON.parse(containerConfigCodec.encode(config)) as Readonly<Record<string, unknown>>;
  return minor < 50 ? all : Object.fromEntries(Object.entries(all).filter(([name]) => !OF_CONTAINERS.has(name)));
}

/** The steps of a parent that has none, or is not there, have no ids. */
function parentOf(source: ImageSource, id: ImageId): ImageId | '' {
  try {
    return source.getParent(id);
  } catch (error) {
    if (isStoreError(error) && error.kind === 'NotFound') return '';
    throw error;
  }
}

/** A build step as `docker history` shows it. */
interface HistoryStep {
  readonly Comment: string;
  readonly Created: number;
  readonly CreatedBy: string;
  Id: string;
  readonly Size: number;
  Tags: readonly string[] | null;
}

/** Returns the build steps of an image, last first; those of its parents have their ids. */
function historyOf(source: ImageSource, id: ImageId): readonly HistoryStep[] {
  const image = source.get(id);
  const layers = source.layers.map();
  const chains = createChainIds(image.rootFS.diffIds);
  const steps = image.history.map(({ comment, created, createdBy, emptyLayer }): HistoryStep => {
    const chain = emptyLayer ? undefined : chains.shift();
    const size = chain === undefined ? 0 : (layers.get(chain)?.diffSize ?? 0);
    const seconds = instantOf(created ?? ZERO_TIMESTAMP).seconds;
    return { Comment: comment, Created: seconds, CreatedBy: createdBy, Id: '<missing>', Size: size, Tags: null };
  });
  steps.reverse();
  let at: ImageId | '' = id;
  for (const step of steps) {
    step.Id = at;
    const { tags } = imageNames(source.references(at));
    if (tags.length > 0) step.Tags = tags;
    at = parentOf(source, at);
    if (at === '') break;
  }
  return steps;
}
