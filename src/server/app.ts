import { Hono } from 'hono';
import { tokenRoute } from './access/token-route.js';
import { callerOf, type ServerEnv } from './exchange.js';
import { answerTo, HttpFailure } from './failure.js';
import { registryRoutes } from './registry/routes.js';
import type { Service } from './service.js';

/** Builds the routes of a server: one group for each part. */
export function buildApp(service: Service): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.use(async (c, next) => {
    c.set('caller', await callerOf(c, service));
    await next();
  });
  app.route('/v2/token', tokenRoute(service));
  app.route('/v2/', registryRoutes(service));
  app.notFound((c) => fail(new HttpFailure(404, 'PATH_UNKNOWN', `no such path: ${c.req.path}`)));
  app.onError((error) => {
    if (answerTo(error).status === 500) service.onFailure(error);
    return fail(error);
  });
  return app;
}

function fail(error: unknown): Response {
  const { status, headers, body } = answerTo(error);
  return Response.json(body, { status, headers });
}
