import { Hono } from 'hono';
import { requireCredentials, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';

/** The registry: OCI Distribution 1.1 below `/v2/`. */
export function registryRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get('/', (c) => {
    requireCredentials(c, service);
    return c.json({}, 200, { 'docker-distribution-api-version': 'registry/2.0' });
  });
  return routes;
}
