import { Hono } from 'hono';
import type { ImageId } from '../../model/digest.js';
import { formatReference, parseReference } from '../../model/reference.js';
import { isStoreError } from '../../errors.js';
import { type Timestamp, timestampFromMs, ZERO_TIMESTAMP } from '../../model/timestamp.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import { type Docker, type DockerExchange, flag, json, minorOf, requireWrite, writeOptions } from './docker.js';
import { badRequest, noSuchImage, notImplemented } from './failures.js';
import { parseFilters } from './filters.js';
import { historyOf, imageFacts } from './image-facts.js';
import { listImages } from './image-list.js';
import { findImage, type ImageSource, platformOf, platformsOf } from './image-source.js';
import { pruneImages, removeNamed, removePlatforms } from './removal.js';

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
