import { type Context, Hono } from 'hono';
import { isStoreError } from '../../errors.js';
import { familiarReference } from '../../model/reference.js';
import type { LoadResult } from '../../store/store.js';
import { requireAction, type ServerEnv, streamed } from '../exchange.js';
import {
  type Docker,
  type DockerExchange,
  jsonLines,
  requireWrite,
  uploadOf,
  withProgress,
  writeOptions,
} from './docker.js';
import { HttpFailure } from '../failure.js';
import { badRequest, noSuchImage, notImplemented } from './failures.js';
import { importImage } from './import.js';
import { findImage, platformsOf } from './image-source.js';
import { pullImage, pushed } from './registry.js';
import { targetOf } from './images.js';

/** `/images`: archives and registries. */
export function archiveRoutes(docker: Docker): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.post('/load', (c) => loadImages(c, docker));
  routes.get('/get', (c) => saveImages(c, docker, c.req.queries('names') ?? []));
  routes.get('/:name{.+}/get', (c) => saveImages(c, docker, [c.req.param('name')]));
  routes.post('/create', (c) => createImage(c, docker));
  routes.post('/:name{.+}/push', (c) => pushed(c, docker, c.req.param('name')));
  return routes;
}

/**
 * Loads before it answers, unless a terminal wants to see progress: not every client sees an error
 * that comes in a stream. The texts are what SDKs search for names.
 */
async function loadImages(c: DockerExchange, docker: Docker): Promise<Response> {
  requireWrite(c, docker, 'push');
  const { store, signal } = docker.service;
  const platform = platformsOf(c.req.queries('platform'));
  const shown = { isWanted: c.req.query('quiet') === '0', status: 'Loading', id: 'archive' };
  return withProgress(c, docker, shown, async (onProgress) => {
    const options = { ...writeOptions(c), platform, signal, onProgress };
    const result = await store.load(uploadOf(c), options);
    return loadedLines(result).map((text) => ({ stream: `${text}\n` }));
  });
}

function loadedLines({ images, references, notices }: LoadResult): string[] {
  const named = new Set(references.map(({ image }) => image));
  return [
    ...notices,
    ...references.map(({ reference }) => `Loaded image: ${familiarReference(reference)}`),
    ...images.filter(({ id }) => !named.has(id)).map(({ id }) => `Loaded image ID: ${id}`),
  ];
}

/** A failure after the first byte cuts the connection: a client would keep what it has as an archive. */
async function saveImages(c: Context<ServerEnv>, docker: Docker, names: readonly string[]): Promise<Response> {
  const { service } = docker;
  requireAction(c, service, 'read');
  if (names.length === 0) throw badRequest('name an image to save');
  const platform = platformsOf(c.req.queries('platform'));
  const { store, onFailure, signal } = service;
  const past = await docker.past();
  const archive = (): ReturnType<typeof store.save> => {
    try {
      return store.save(names.map(wholeId), { platform, signal, past });
    } catch (error) {
      if (isStoreError(error, 'BLOB_MISSING') && past !== undefined) {
        throw new HttpFailure(404, 'BLOB_UNKNOWN', error.message);
      }
      if (!isStoreError(error, 'IMAGE_NOT_FOUND') && !isStoreError(error, 'ID_AMBIGUOUS')) throw error;
      // The name that is not there, in Docker's words.
      for (const name of names) findImage(past ?? store, name);
      throw noSuchImage(names[0] ?? '');
    }
  };
  return streamed(c, { status: 200, headers: { 'content-type': 'application/x-tar' }, onFailure }, archive());
}

function wholeId(name: string): string {
  return /^[0-9a-f]{64}$/.test(name) ? `sha256:${name}` : name;
}

/** One path for two things: a root filesystem from the body, or an image from a registry. */
async function createImage(c: DockerExchange, docker: Docker): Promise<Response> {
  requireWrite(c, docker, 'push');
  const { fromImage = '', fromSrc = '', repo = '', tag } = c.req.query();
  if (fromImage !== '') return pullImage(c, docker, fromImage);
  if (fromSrc !== '-') {
    if (fromSrc === '') throw badRequest('neither fromImage nor fromSrc is given');
    throw notImplemented('download: send the archive itself (fromSrc=-)');
  }
  const { changes = [] } = c.req.queries();
  const { message, platform } = c.req.query();
  const target = repo === '' ? undefined : targetOf(repo, tag);
  const request = { target, changes, message, platform, write: writeOptions(c) };
  const id = await importImage(docker.service.store, uploadOf(c), request);
  return jsonLines(c, docker, [{ status: id }]);
}
