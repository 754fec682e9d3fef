import { cpus, hostname, release, totalmem } from 'node:os';
import { Hono } from 'hono';
import { hostArchitecture, hostOs } from '../../model/platform.js';
import { version } from '../../store/version.js';
import { requireAction, type ServerEnv } from '../exchange.js';
import { type Docker, type DockerExchange, json, MAX_MINOR, MIN_MINOR, minorOf } from './docker.js';
import { eventsResponse } from './events.js';
import { badRequest } from './failures.js';
import { listImages } from './image-list.js';

/** Newest version of the API, which clients are told. */
export const API_VERSION = `1.${MAX_MINOR}`;
const MIN_API_VERSION = `1.${MIN_MINOR}`;

/** What the daemon says of itself: `/_ping`, `/version`, `/info`, `/system/df`, `/events`. */
export function systemRoutes(docker: Docker): Hono<ServerEnv> {
  const { service } = docker;
  const routes = new Hono<ServerEnv>();
  const uncached = { 'cache-control': 'no-cache, no-store, must-revalidate', pragma: 'no-cache' };
  routes.get('/_ping', (c) => c.body('OK', 200, { 'content-type': 'text/plain; charset=utf-8', ...uncached }));
  routes.get('/version', (c) => json(c, versionFacts()));
  routes.get('/info', async (c) => {
    requireAction(c, service, 'read');
    return json(c, await info(docker));
  });
  routes.get('/system/df', async (c) => {
    requireAction(c, service, 'read');
    return json(c, await diskUsage(c, docker));
  });
  routes.get('/events', async (c) => {
    requireAction(c, service, 'read');
    return eventsResponse(c, service);
  });
  return routes;
}

function versionFacts(): object {
  const own = { ApiVersion: API_VERSION, MinAPIVersion: MIN_API_VERSION, GitCommit: '', GoVersion: '' };
  const host = { Os: hostOs(), Arch: hostArchitecture(), KernelVersion: release() };
  return {
    Platform: { Name: 'imagelog' },
    Components: [{ Name: 'Engine', Version: version(), Details: { ...own, ...host, Experimental: 'false' } }],
    Version: version(),
    ...own,
    ...host,
  };
}

async function info({ service, images }: Docker): Promise<object> {
  const { store, isReadOnly, past } = service;
  const seq = (await past) ?? store.log.head.seq;
  const { length } = (await images()).imageEntries();
  return {
    ID: store.stats().storeId,
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: length,
    Driver: 'imagelog',
    DriverStatus: [['Events', String(seq)]],
    Plugins: { Volume: [], Network: [], Authorization: null, Log: [] },
    NCPU: cpus().length,
    MemTotal: totalmem(),
    SystemTime: new Date().toISOString(),
    OperatingSystem: 'imagelog, a store of images',
    OSType: hostOs(),
    Architecture: hostArchitecture(),
    KernelVersion: release(),
    Name: hostname(),
    Labels: [],
    DockerRootDir: store.directory,
    ServerVersion: version(),
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, RemoteManagers: null },
    SecurityOptions: [],
    IndexServerAddress: '',
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: [] },
    Warnings: isReadOnly ? [`WARNING: read-only: the store as it was after event ${seq}`] : null,
  };
}

/** Kinds of objects that a client may ask for, since 1.42. */
const TYPES = ['container', 'image', 'volume', 'build-cache'] as const;

async function diskUsage(c: DockerExchange, { images }: Docker): Promise<object> {
  const minor = minorOf(c);
  const asked = minor < 42 ? [] : (c.req.queries('type') ?? []);
  const unknown = asked.find((type) => !TYPES.some((each) => each === type));
  if (unknown !== undefined) throw badRequest(`unknown object type: ${unknown}`);
  const wanted = new Set<string>(asked.length === 0 ? TYPES : asked);
  const source = await images();
  const request = {
    all: false,
    filters: new Map(),
    withShared: true,
    containers: 0,
    minor,
    nowMs: Date.now(),
  } as const;
  let layersSize = 0;
  for (const { diffSize } of source.layers.map().values()) layersSize += diffSize;
  return {
    LayersSize: wanted.has('image') ? layersSize : 0,
    Images: wanted.has('image') ? await listImages(source, request) : null,
    Containers: wanted.has('container') ? [] : null,
    Volumes: wanted.has('volume') ? [] : null,
    BuildCache: minor >= 42 && wanted.has('build-cache') ? [] : null,
    ...(minor < 42 ? { BuilderSize: 0 } : {}),
  };
}
