import { Hono } from 'hono';
import { isStoreError } from '../../errors.js';
import { version } from '../../store/version.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';

/** `/health` and `/ready`: for all, also while the server stops. */
export function stateRoutes(service: Service): Hono<ServerEnv> {
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
export function serviceRoutes(service: Service): Hono<ServerEnv> {
  const { store, metrics } = service;
  const routes = new Hono<ServerEnv>();
  // Counting all that stats has takes long.
  let storeId: string | undefined;
  routes.get('/', async (c) => {
    requireAction(c, service, 'read');
    storeId ??= store.stats().storeId;
    const head = (await service.past) ?? store.log.head.seq;
    return c.json({ name: 'imagelog', version: version(), storeId, head });
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
