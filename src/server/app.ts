import { Hono } from 'hono';
import { isStoreError } from '../errors.js';
import { version } from '../store/version.js';
import { callerOf, refuse, requireAction, type ServerEnv } from './exchange.js';
import type { Service } from './service.js';
import { evidenceRoutes } from './evidence/routes.js';
import { answerTo, HttpFailure } from './failure.js';
import { feedRoutes } from './feed/routes.js';
import { pageRoutes } from './page/routes.js';
import { registryRoutes } from './registry/routes.js';
import { admitted } from './service/admission.js';
import { BodyWatch, isBrokenOff } from './service/body-watch.js';
import { observed } from './service/observe.js';

/** `/health` and `/ready`: for all, also while the server stops. */
function stateRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const uncached = { 'cache-control': 'no-store' };
  routes.get('/health', (c) => c.json({ status: 'alive' }, 200, uncached));
  routes.get('/ready', (c) => {
    const reasons = reasonsNotReady(service);
    return c.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503, uncached);
  });
  return routes;
}

/** `/` and `/metrics`. */
function serviceRoutes(service: Service): Hono<ServerEnv> {
  const { store, metrics } = service;
  const routes = new Hono<ServerEnv>();
  // Counting all that stats has takes long.
  let storeId: string | undefined;
  routes.get('/', async (c) => {
    requireAction(c, service, 'read');
    storeId ??= store.stats().storeId;
    const head = (await service.past) ?? store.log.head.seq;
    // A browser gets the page here.
    return c.json({ name: 'imagelog', version: version(), storeId, head }, 200, { vary: 'Accept' });
  });
  routes.get('/metrics', async (c) => {
    if (!service.areMetricsOpen) requireAction(c, service, 'read');
    return c.body(await metrics.text(), 200, { 'content-type': metrics.contentType });
  });
  return routes;
}

/** A reason why no more work should be sent here. */
interface Reason {
  readonly code: string;
  readonly message: string;
}

function reasonsNotReady({ store, signal, isReadOnly }: Service): Reason[] {
  const stopping: Reason[] = signal.aborted ? [{ code: 'STOPPING', message: 'the server is stopping' }] : [];
  try {
    store.checkWritable();
    return stopping;
  } catch (error) {
    if (!isStoreError(error)) throw error;
    if (isReadOnly && error.code === 'STORE_READ_ONLY') return stopping;
    return [...stopping, { code: error.code, message: error.message }];
  }
}

/** Builds the routes of a server: one group for each part. */
export function buildApp(service: Service): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.use(observed(service, new BodyWatch(service.limits)));
  app.route('/', stateRoutes(service));
  app.use(admitted(service));
  app.use(async (c, next) => {
    c.set('caller', await callerOf(c, service));
    await next();
  });
  app.route('/', pageRoutes(service));
  app.route('/', serviceRoutes(service));
  app.route('/log', evidenceRoutes(service));
  app.route('/v2/token', tokenRoute(service));
  app.route('/v2', registryRoutes(service));
  app.route('/', feedRoutes(service));
  app.notFound((c) => {
    throw new HttpFailure(404, 'PATH_UNKNOWN', `no such path: ${c.req.path}`);
  });
  app.onError((error, c) => {
    const { incoming } = (c.env as Partial<ServerEnv['Bindings']> | undefined) ?? {};
    const isOurs =
      answerTo(error).status === 500 || isStoreError(error, 'OUTCOME_UNKNOWN') || isStoreError(error, 'DISK_FULL');
    if (isOurs && !isBrokenOff(incoming, error)) service.onFailure(error);
    const answer = failedResponse(error);
    // Nobody reads the rest of its body: the next request would wait behind that for ever.
    if (incoming?.complete === false) answer.headers.set('connection', 'close');
    return answer;
  });
  return app;
}

/**
 * `GET /v2/token`: gives a token for the credentials of the request, or for none where anyone may
 * read (distribution, token authentication). It has all rights of the login: `scope` limits nothing.
 */
function tokenRoute(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get('/', (c) => {
    const given = service.access.sessionToken(c.get('caller').grant);
    if (given === undefined) throw refuse(c, service, 'log in to get a token');
    const { token, expiresInSeconds, issuedAt } = given;
    const answer = { token, access_token: token, expires_in: expiresInSeconds, issued_at: issuedAt.toISOString() };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
  return routes;
}

/** Returns the answer for what a request failed with. */
export function failedResponse(error: unknown): Response {
  const { status, headers, body } = answerTo(error);
  const text = JSON.stringify(body);
  // A client cannot keep the connection of an answer to HEAD without a length.
  const length = String(Buffer.byteLength(text));
  const own = { 'content-type': 'application/json', 'content-length': length };
  return new Response(text, { status, headers: { ...own, ...headers } });
}
