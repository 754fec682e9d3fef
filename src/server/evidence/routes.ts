import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Context, Hono } from 'hono';
import { StoreError } from '../../errors.js';
import { hashesOnLevel, parseTilePath, TILE_WIDTH } from '../../log/merkle.js';
import { acceptsGzip } from '../../model/http.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';

const compressed = promisify(gzip);

/** What never changes may be kept by the client; by a shared cache only where the log is open to all. */
const FOREVER = 'max-age=31536000, immutable';
const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';

type Exchange = Context<ServerEnv>;

/**
 * The evidence of the log (C2SP tlog-tiles): `/checkpoint`, `/tile/…`, and beside them `/proofs/SEQ`
 * (C2SP tlog-proof) and `/key`. Partial tiles stay, for checkpoints that were read before.
 */
export function evidenceRoutes(service: Service): Hono<ServerEnv> {
  const { store } = service;
  const routes = new Hono<ServerEnv>();
  routes.use(async (c, next) => {
    await next();
    // A cache would keep a 404 for a tile that the log has soon.
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store');
  });
  routes.use(async (c, next) => {
    requireAction(c, service, 'read');
    await next();
  });
  routes.get('/checkpoint', async (c) =>
    c.body(await store.checkpoint(await servedSize(service)), 200, {
      'content-type': TEXT,
      'cache-control': 'no-cache',
    }),
  );
  routes.get('/key', (c) => {
    const { verifierKey } = store;
    if (verifierKey === undefined) return c.notFound();
    return c.body(`${verifierKey}\n`, 200, { 'content-type': TEXT, 'cache-control': 'no-cache' });
  });
  routes.get('/tile/*', (c) => tileAnswer(c, service));
  routes.get('/proofs/:seq{[1-9][0-9]{0,14}}', async (c) => {
    const size = await servedSize(service);
    const checkpoint = size === undefined ? undefined : await store.checkpoint(size);
    const proof = await store.prove(Number(c.req.param('seq')), { checkpoint });
    return c.body(proof, 200, { 'content-type': TEXT, 'cache-control': 'no-cache' });
  });
  return routes;
}

async function tileAnswer(c: Exchange, service: Service): Promise<Response> {
  const path = c.req.path.slice(c.req.path.indexOf('/tile/') + 1);
  await refuseLater(path, service);
  const bytes = await service.store.readTile(path);
  const headers = { 'content-type': BYTES, 'cache-control': FOREVER };
  // Hashes do not compress; records do.
  if (!path.startsWith('tile/entries/')) return answer(c, bytes, headers);
  const varying = { ...headers, vary: 'Accept-Encoding' };
  if (!acceptsGzip(c.req.header('accept-encoding'))) return answer(c, bytes, varying);
  return answer(c, await compressed(bytes), { ...varying, 'content-encoding': 'gzip' });
}

function answer(c: Exchange, bytes: Uint8Array, headers: Record<string, string>): Response {
  return c.body(new Uint8Array(bytes), 200, { ...headers, 'content-length': `${bytes.length}` });
}

/** Returns how many events are served: undefined for all that there are. */
async function servedSize({ past }: Service): Promise<number | undefined> {
  return past;
}

/** Refuses a tile that the log did not have at the time that is served. */
async function refuseLater(path: string, service: Service): Promise<void> {
  const size = await servedSize(service);
  const tile = parseTilePath(path);
  if (size === undefined || tile === undefined) return;
  const { level, index, width } = tile;
  if (index * TILE_WIDTH + width <= hashesOnLevel(level === 'entries' ? 0 : level, size)) return;
  const message = `the log of ${size} events has no ${path}`;
  throw new StoreError('EVENT_NOT_FOUND', message, { data: { path, head: size } });
}
