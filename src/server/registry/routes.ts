import { type Context, Hono } from 'hono';
import { type ErrorCode, StoreError } from '../../errors.js';
import type { RegistryReads } from '../../store/registry-store.js';
import type { Action } from '../access/access.js';
import { requireAction, requireCredentials, sentPath, type ServerEnv } from '../exchange.js';
import { type HttpCode, HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import { cancelUpload, deleteBlob, finishUpload, getBlob, patchUpload, startUpload, uploadStatus } from './blobs.js';
import { deleteManifest, getCatalog, getManifest, getReferrers, getTags, putManifest } from './manifests.js';
import { type Endpoint, parsePath, type RegistryExchange, type RegistryPath } from './registry-request.js';

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

/** Answers to errors of the store, in the words of the OCI distribution spec. */
const answers: Partial<Readonly<Record<ErrorCode, readonly [status: number, code: HttpCode]>>> = {
  BLOB_NOT_FOUND: [400, 'MANIFEST_BLOB_UNKNOWN'],
  BLOB_MISSING: [404, 'BLOB_UNKNOWN'],
  BLOB_MISMATCH: [400, 'DIGEST_INVALID'],
  ARCHIVE_MANIFEST_INVALID: [400, 'MANIFEST_INVALID'],
  ARCHIVE_LIMIT_EXCEEDED: [413, 'MANIFEST_INVALID'],
  RECORD_TOO_LARGE: [413, 'MANIFEST_INVALID'],
  REFERENCE_INVALID: [400, 'NAME_INVALID'],
  REFERENCE_NOT_FOUND: [404, 'MANIFEST_UNKNOWN'],
  CONTENT_ERASED: [404, 'MANIFEST_UNKNOWN'],
  CONTENT_IN_USE: [405, 'UNSUPPORTED'],
  TIME_INVALID: [404, 'NAME_UNKNOWN'],
  TIME_OUT_OF_RANGE: [404, 'NAME_UNKNOWN'],
  UPLOAD_NOT_FOUND: [404, 'BLOB_UPLOAD_UNKNOWN'],
  UPLOAD_OUT_OF_ORDER: [416, 'BLOB_UPLOAD_INVALID'],
  UPLOAD_LIMIT_EXCEEDED: [429, 'TOOMANYREQUESTS'],
  SERVER_BUSY: [503, 'TOOMANYREQUESTS'],
  LAYERS_UNAVAILABLE: [405, 'UNSUPPORTED'],
  STORE_READ_ONLY: [405, 'UNSUPPORTED'],
};

function answerOf({ code, data }: StoreError): readonly [status: number, code: HttpCode] | undefined {
  // No later try has room for a blob that is too large.
  if (code === 'UPLOAD_LIMIT_EXCEEDED' && data['limit'] === 'uploadBytes') return [413, 'SIZE_INVALID'];
  return answers[code];
}

/** Seconds after which a client that was refused for a limit may try again, by status. */
const retryAfterSeconds: Readonly<Record<number, number>> = { 429: 60, 503: 5 };

/** Returns an error of the store as the registry answers it; others as they are. */
export function asRegistryFailure(error: unknown): unknown {
  const [status, code] = (error instanceof StoreError ? answerOf(error) : undefined) ?? [];
  if (!(error instanceof StoreError) || status === undefined || code === undefined) return error;
  const detail = Object.keys(error.data).length === 0 ? undefined : error.data;
  const seconds = retryAfterSeconds[status];
  const headers: Record<string, string> = seconds === undefined ? {} : { 'retry-after': String(seconds) };
  return new HttpFailure(status, code, error.message, { detail, headers });
}
