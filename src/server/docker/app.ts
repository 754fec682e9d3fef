import type { RequestListener } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { getPath } from 'hono/utils/url';
import { isStoreError } from '../../errors.js';
import type { PastStore } from '../../store/past/audit.js';
import { version } from '../../store/version.js';
import { type PeerFinder, peerFinder } from '../access/peers.js';
import { callerOf, connectionOfRequest, type ServerEnv } from '../exchange.js';
import { answerTo, asRequestFailure, HttpFailure } from '../failure.js';
import { admitted } from '../service/admission.js';
import { BodyWatch, isBrokenOff } from '../service/body-watch.js';
import { observed } from '../service/observe.js';
import type { Service } from '../service.js';
import { archiveRoutes } from './archives.js';
import { discardBody, type Docker, MAX_MINOR, MIN_MINOR, minorOf } from './docker.js';
import { elsewhereRoutes, LIBPOD } from './elsewhere.js';
import { dockerRefusal, pageNotFound } from './failures.js';
import { imageRoutes } from './images.js';
import { API_VERSION, systemRoutes } from './system.js';

const VERSION = /^\/v(\d[\d.]*)(?=\/)/;

/** Returns what answers Docker's Engine API, as far as it is about images. */
export function dockerListener(service: Service): RequestListener {
  const app = dockerApp(service);
  const answer = getRequestListener((request, env) => app.fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler: (error) => failedResponse(asRequestFailure(error)),
  });
  return (incoming, outgoing) => {
    // Of a socket it says nothing, and clients put anything there, as the path of the socket.
    incoming.headers.host = 'docker';
    outgoing.setHeader('api-version', API_VERSION);
    outgoing.setHeader('docker-experimental', 'false');
    outgoing.setHeader('ostype', 'linux');
    outgoing.setHeader('server', `imagelog/${version()}`);
    void answer(incoming, outgoing);
  };
}

function dockerApp(service: Service): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>({ getPath: (request) => getPath(request).replace(VERSION, '') });
  app.use(observed(service, new BodyWatch(service.limits, dockerRefusal)));
  app.use(admitted(service));
  const peerOf = socketPeer();
  app.use(async (c, next) => {
    const { incoming } = c.env;
    // At once: the descriptor may be another's later.
    const [peer] = incoming === undefined ? [] : peerOf(connectionOfRequest(incoming, service.proxies)).names;
    const caller = await callerOf(c, service);
    c.set('caller', { ...caller, actor: caller.actor ?? peer });
    const [, asked] = VERSION.exec(new URL(c.req.url).pathname) ?? [];
    // podman has other versions.
    if (asked !== undefined && !LIBPOD.test(c.req.path)) c.set('apiMinor', checkedMinor(asked));
    // Of dockerd HEAD gets nothing else either: a feed would never end for it.
    if (c.req.method === 'HEAD' && !c.req.path.endsWith('/_ping')) throw pageNotFound();
    await next();
  });
  const past = pastOf(service);
  const docker: Docker = { service, past, images: async () => (await past()) ?? service.store };
  app.route('/', systemRoutes(docker));
  app.route('/images', archiveRoutes(docker));
  app.route('/images', imageRoutes(docker));
  app.route('/', elsewhereRoutes(docker));
  app.notFound(() => {
    throw pageNotFound();
  });
  app.onError(async (error, c) => {
    const { incoming } = c.env;
    const isOurs = !(error instanceof HttpFailure) && answerTo(error).status === 500;
    if (isOurs && !isBrokenOff(incoming, error)) service.onFailure(error);
    const answer = failedResponse(error, minorOf(c));
    if (incoming !== undefined) await discardBody(incoming);
    // Nobody reads the rest of its body.
    if (incoming?.complete === false) answer.headers.set('connection', 'close');
    return answer;
  });
  return app;
}

/** The kernel knows the peer where it can be asked, else the mode of the socket does. */
function socketPeer(): PeerFinder {
  try {
    return peerFinder({ peer: 'kernel' });
  } catch (error) {
    if (!isStoreError(error, 'ACCESS_INVALID')) throw error;
    return peerFinder({ peer: 'mode' });
  }
}

/** @throws {HttpFailure} 400 */
function checkedMinor(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major === 1 && minor >= MIN_MINOR && minor <= MAX_MINOR) return minor;
  const isOld = major < 1 || (major === 1 && minor < MIN_MINOR);
  const limit = isOld
    ? `Minimum supported API version is 1.${MIN_MINOR}`
    : `Maximum supported API version is 1.${MAX_MINOR}`;
  const message = `client version ${version} is too ${isOld ? 'old' : 'new'}. ${limit}`;
  const advice = isOld ? ', please upgrade your client to a newer version' : '';
  throw new HttpFailure(400, 'REQUEST_INVALID', message + advice);
}

/** The past is fixed: its views are built once. */
function pastOf({ store, past }: Service): Docker['past'] {
  let viewed: Promise<PastStore> | undefined;
  return async () => {
    const seq = await past;
    if (seq === undefined) return undefined;
    viewed ??= store.at(seq);
    return viewed;
  };
}

/** An error as Docker's clients read it: before 1.24 they show the body as it is. */
function failedResponse(error: unknown, minor = MAX_MINOR): Response {
  const { status, headers, body } = answerTo(error);
  const [{ code, message }] = body.errors;
  const [type, text] =
    minor < 24 ? ['text/plain; charset=utf-8', `${message}\n`] : ['application/json', dockerRefusal(code, message)];
  const own = { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) };
  return new Response(text, { status, headers: { ...own, ...headers } });
}
