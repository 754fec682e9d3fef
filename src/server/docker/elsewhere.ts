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
  'containers',
  'distribution',
  'exec',
  'grpc',
  'networks',
  'plugins',
  'session',
  'volumes',
] as const;

/** Parts of one that is in a swarm. SDKs know by the status that this one is not. */
const SWARM = ['configs', 'nodes', 'secrets', 'services', 'swarm', 'tasks'] as const;

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

/** A single one of them, by any name: who inspects, stops or removes one continues only after 404. */
const UNKNOWN: Readonly<Record<string, (name: string) => string>> = {
  containers: (name) => `No such container: ${name}`,
  exec: (name) => `No such exec instance: ${name}`,
  networks: (name) => `network ${name} not found`,
  plugins: (name) => `plugin "${name}" not found`,
  volumes: (name) => `get ${name}: no such volume`,
};

/** Containers, volumes, networks and other objects of which imagelog has none. */
export function elsewhereRoutes(docker: Docker): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const refuse = (c: DockerExchange): never => {
    requireAction(c, docker.service, 'read');
    throw notImplemented(`run containers, build, or log in (${c.req.method} ${c.req.path})`);
  };
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
  routes.get('/plugins/privileges', refuse);
  for (const [part, message] of Object.entries(UNKNOWN)) {
    routes.all(`/${part}/:name{.+}`, (c: DockerExchange) => {
      const path = c.req.param('name') ?? '';
      // What is done to it follows its name.
      const [, name = path] = c.req.method === 'DELETE' ? [] : (/^(.+)\/[^/]+$/.exec(path) ?? []);
      if (c.req.method === 'POST' && name === path) return refuse(c);
      requireAction(c, docker.service, 'read');
      throw new HttpFailure(404, 'NAME_UNKNOWN', message(name));
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
    routes.all(`/${part}`, refuse);
    routes.all(`/${part}/*`, refuse);
  }
  for (const part of SWARM) {
    const refuseSwarm = (c: DockerExchange): never => {
      requireAction(c, docker.service, 'read');
      throw new HttpFailure(503, 'UNAVAILABLE', 'This node is not a swarm manager: imagelog is a store of images');
    };
    routes.all(`/${part}`, refuseSwarm);
    routes.all(`/${part}/*`, refuseSwarm);
  }
  return routes;
}
