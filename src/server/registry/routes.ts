import { type Context, Hono } from 'hono';
import type { Action } from '../access/access.js';
import { requireAction, requireCredentials, type ServerEnv, sentPath } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import { deleteBlob, getBlob } from './blobs.js';
import { asRegistryFailure } from './failures.js';
import { getCatalog, getReferrers, getTags } from './lists.js';
import { deleteManifest, getManifest, putManifest } from './manifests.js';
import { type Endpoint, parsePath, type RegistryPath } from './paths.js';
import type { RegistryReads } from '../../store/registry-store.js';
import type { RegistryExchange } from './registry-exchange.js';
import { cancelUpload, finishUpload, patchUpload, startUpload, uploadStatus } from './uploads.js';

type Handler = (exchange: RegistryExchange) => Promise<Response> | Response;

/** What each endpoint does, and what it needs. HEAD is GET without a body. */
const handlers: Readonly<Record<Endpoint, Readonly<Partial<Record<string, readonly [Action, Handler]>>>>> = {
  catalog: { GET: ['read', getCatalog] },
  tags: { GET: ['read', getTags] },
  referrers: { GET: ['read', getReferrers] },
  manifest: { GET: ['read', getManifest], PUT: ['push', putManifest], DELETE: ['delete', deleteManifest] },
  blob: { GET: ['read', getBlob], DELETE: ['delete', deleteBlob] },
  uploads: { POST: ['push', startUpload] },
  upload: {
    GET: ['push', uploadStatus],
    PATCH: ['push', patchUpload],
    PUT: ['push', finishUpload],
    DELETE: ['push', cancelUpload],
  },
};

/** Patterns of the endpoints, which metrics count by. */
const routeOf: Readonly<Record<Endpoint, string>> = {
  catalog: '/v2/_catalog',
  tags: '/v2/NAME/tags/list',
  referrers: '/v2/NAME/referrers/DIGEST',
  manifest: '/v2/NAME/manifests/REFERENCE',
  blob: '/v2/NAME/blobs/DIGEST',
  uploads: '/v2/NAME/blobs/uploads/',
  upload: '/v2/NAME/blobs/uploads/ID',
};

/** The registry: OCI Distribution 1.1 below `/v2/`, and its past below `/v2/at/WHEN/`. */
export function registryRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.all('/*', async (c) => {
    try {
      return await answer(c, service);
    } catch (error) {
      throw asRegistryFailure(error);
    }
  });
  return routes;
}

async function answer(c: Context<ServerEnv>, service: Service): Promise<Response> {
  const { method } = c.req;
  // Neither decoded nor resolved: `..` and %2F are no part of a name.
  const sent = sentPath(c);
  if (!sent.startsWith('/v2/')) throw new HttpFailure(404, 'PATH_UNKNOWN', 'the registry has no such path');
  const pathname = sent.slice('/v2/'.length);
  if (pathname === '') {
    requireCredentials(c, service);
    return c.json({}, 200, { 'docker-distribution-api-version': 'registry/2.0' });
  }
  const path = parsePath(pathname);
  if (path === undefined) throw new HttpFailure(404, 'PATH_UNKNOWN', 'the registry has no such path');
  c.set('route', routeOf[path.endpoint]);
  const [action, handle] = handlers[path.endpoint][method === 'HEAD' ? 'GET' : method] ?? [];
  if (action === undefined || handle === undefined) {
    const allow = Object.keys(handlers[path.endpoint]).join(', ');
    throw new HttpFailure(405, 'UNSUPPORTED', `cannot ${method} here`, { headers: { allow } });
  }
  // The list has those repositories that the caller may read.
  if (path.endpoint === 'catalog') requireCredentials(c, service);
  else requireAction(c, service, action, path.repository);
  const isPast = path.at !== undefined || service.past !== undefined;
  if (isPast && action !== 'read') {
    throw new HttpFailure(405, 'UNSUPPORTED', 'the past cannot be changed', { headers: { allow: 'GET' } });
  }
  if (action !== 'read') refuseMirrored(path, service);
  return handle({ c, service, path, reads: await readsOf(path, service), isPast });
}

/** What is written beside the upstream would look as if it came from there. */
function refuseMirrored({ name, repository }: RegistryPath, { mirror }: Service): void {
  const upstream = mirror?.upstreamOf(repository);
  if (upstream === undefined) return;
  throw new HttpFailure(405, 'UNSUPPORTED', `${name} comes from ${upstream}: this server only mirrors it`, {
    headers: { allow: 'GET' },
  });
}

/** The repositories of the moment that a path names, in a server of the present or of another moment. */
async function readsOf({ at, name }: RegistryPath, { store, past }: Service): Promise<RegistryReads> {
  const last = await past;
  if (at === undefined) return last === undefined ? store.registry : store.registry.at(last);
  const reads = await store.registry.at(at);
  if (last === undefined || reads.seq <= last) return reads;
  throw new HttpFailure(404, 'NAME_UNKNOWN', `there is no ${name} of then: this server ends with event ${last}`);
}
