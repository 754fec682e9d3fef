import { Hono } from 'hono';
import { requireAction, type ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import { type Docker, type DockerExchange, json, requireWrite } from './docker.js';
import { notImplemented } from './failures.js';

/** Parts of the API that are of a daemon which runs containers. */
const ELSEWHERE = [
  'auth',
  'build',
  'commit',
  'configs',
  'containers',
  'distribution',
  'exec',
  'grpc',
  'networks',
  'nodes',
  'plugins',
  'secrets',
  'services',
  'session',
  'swarm',
  'tasks',
  'volumes',
] as const;

/** podman's own API, below its versions. */
export const LIBPOD = /^\/libpod\//;

/** Lists of what a store of images has none of. */
const EMPTY: Readonly<Record<string, unknown>> = {
  '/containers/json': [],
  '/networks': [],
  '/plugins': [],
  '/volumes': { Volumes: [], Warnings: null },
};

/** Their prunes, which remove nothing: so `docker system prune` reaches the images. */
const PRUNED: Readonly<Record<string, unknown>> = {
  '/build/prune': { CachesDeleted: null, SpaceReclaimed: 0 },
  '/containers/prune': { ContainersDeleted: null, SpaceReclaimed: 0 },
  '/networks/prune': { NetworksDeleted: null },
  '/volumes/prune': { VolumesDeleted: [], SpaceReclaimed: 0 },
};

/** A single one of them, which `docker inspect` asks for by any name: it continues only after 404. */
const UNKNOWN: Readonly<Record<string, (name: string) => string>> = {
  '/containers/:name{.+}/json': (name) => `No such container: ${name}`,
  '/networks/:name{.+}': (name) => `network ${name} not found`,
  '/volumes/:name{.+}': (name) => `get ${name}: no such volume`,
  '/plugins/:name{.+}/json': (name) => `plugin "${name}" not found`,
};

/** Containers, volumes, networks and other objects of which imagelog has none. */
export function elsewhereRoutes(docker: Docker): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  for (const [path, list] of Object.entries(EMPTY)) {
    routes.get(path, (c) => {
      requireAction(c, docker.service, 'read');
      return json(c, list);
    });
  }
  for (const [path, report] of Object.entries(PRUNED)) {
    routes.post(path, (c) => {
      requireWrite(c, docker, 'delete');
      return json(c, report);
    });
  }
  for (const [path, message] of Object.entries(UNKNOWN)) {
    routes.get(path, (c: DockerExchange) => {
      requireAction(c, docker.service, 'read');
      throw new HttpFailure(404, 'NAME_UNKNOWN', message(c.req.param('name') ?? ''));
    });
  }
  // podman shows the message of an answer only once its ping was one.
  routes.get('/libpod/_ping', (c) => c.body('OK', 200, { 'content-type': 'text/plain; charset=utf-8' }));
  routes.all('/libpod/*', () => {
    throw notImplemented(
      "speak podman's API: use docker's command line here, or podman pull and push with its registry",
    );
  });
  for (const part of ELSEWHERE) {
    const refuse = (c: DockerExchange): never => {
      requireAction(c, docker.service, 'read');
      throw notImplemented(`run containers, build, or log in (${c.req.method} ${c.req.path})`);
    };
    routes.all(`/${part}`, refuse);
    routes.all(`/${part}/*`, refuse);
  }
  return routes;
}
