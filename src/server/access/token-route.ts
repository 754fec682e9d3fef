import { Hono } from 'hono';
import { refuse, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';

/**
 * `GET /v2/token`: gives a token for the credentials of the request, or for none where anyone may
 * read (distribution, token authentication). It has all rights of the login: `scope` limits nothing.
 */
export function tokenRoute(service: Service): Hono<ServerEnv> {
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
