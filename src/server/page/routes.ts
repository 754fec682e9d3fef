import { Hono } from 'hono';
import { contentPolicy } from '../../page/document.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';
import { readTemplate } from './template.js';

/** The page that checks and shows the log, at `/`, and the contents that it asks for, at `/log/content/DIGEST`. */
export function pageRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get('/', async (c, next) => {
    // Programs ask what this server is, and get that answer as before.
    if (!(c.req.header('accept') ?? '').includes('text/html')) return next();
    requireAction(c, service, 'read');
    const page = await readTemplate();
    return c.body(page, 200, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      vary: 'Accept',
      'content-security-policy': `${contentPolicy(page, { connects: true })}; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  });
  routes.get('/log/content/:digest{sha256:[0-9a-f]{64}}', (c) => {
    requireAction(c, service, 'read');
    const bytes = service.store.readContent(c.req.param('digest'));
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
