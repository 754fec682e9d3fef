import { Hono } from 'hono';
import { contentsOf } from '../../model/subjects.js';
import { contentPolicy } from '../../page/document.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';
import type { EventStore } from '../../store/event-store.js';
import { readTemplate } from './template.js';

/** The page that checks and shows the log, at `/`, and the contents that it asks for, at `/log/content/DIGEST`. */
export function pageRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get('/', async (c, next) => {
    // Programs ask what this server is, and get that answer as before.
    if (!(c.req.header('accept') ?? '').includes('text/html')) return next();
    requireAction(c, service, 'read');
    const template = await readTemplate();
    // A log of the past does not grow: the page follows nothing.
    const page = service.past === undefined ? template : template.replace('<html', '<html data-past');
    return c.body(page, 200, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      vary: 'Accept',
      'content-security-policy': `${contentPolicy(page, { connects: true })}; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  });
  let ofThen: Promise<ReadonlySet<string>> | undefined;
  routes.get('/log/content/:digest{sha256:[0-9a-f]{64}}', async (c) => {
    requireAction(c, service, 'read');
    const digest = c.req.param('digest');
    if (service.past !== undefined) {
      ofThen ??= contentsUntil(service.store, await service.past).catch((error: unknown) => {
        ofThen = undefined;
        throw error;
      });
      if (!(await ofThen).has(digest)) return c.notFound();
    }
    const bytes = service.store.readContent(digest);
    if (bytes === undefined) return c.notFound();
    return c.body(new Uint8Array(bytes), 200, {
      // What a push put there is never a page of ours.
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    });
  });
  return routes;
}

/** Returns the digests of all contents that the first events name: what came later is not of that time. */
async function contentsUntil({ log }: EventStore, to: number): Promise<ReadonlySet<string>> {
  const digests = new Set<string>();
  if (to === 0) return digests;
  for await (const event of log.read({ to })) for (const digest of contentsOf(event)) digests.add(digest);
  return digests;
}
