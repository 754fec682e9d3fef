import type { RequestListener } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { getPath } from 'hono/utils/url';
import { isStoreError } from '../../errors.js';
import type { PastStore } from '../../store/past/audit.js';
import { version } from '../../store/version.js';
import { type PeerFinder, peerFinder } from '../access/peers.js';
import { callerOf, connectionOfRequest, type ServerEnv } from '../exchange.js';
import { answerTo, HttpFailure } from '../failure.js';
import { admitted } from '../service/admission.js';
import { BodyWatch, isBrokenOff } from '../service/body-watch.js';
import { observed } from '../service/observe.js';
import type { Service } from '../service.js';
import { archiveRoutes } from './archives.js';
import { type Docker, MAX_MINOR, MIN_MINOR } from './docker.js';
import { elsewhereRoutes } from './elsewhere.js';
import { imageRoutes } from './images.js';
import { API_VERSION, systemRoutes } from './system.js';

const VERSION = /^\/v1\.(\d{1,4})(?=\/)/;

/** Returns what answers Docker's Engine API, as far as it is about images. */
export function dockerListener(service: Service): RequestListener {
  const app = dockerApp(service);
  const answer = getRequestListener((request, env) => app.fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler: (error) => failedResponse(error),
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
  const { limits, metrics, onRequest, signal } = service;
  const app = new Hono<ServerEnv>({ getPath: (request) => getPath(request).replace(VERSION, '') });
  app.use(
    observed({
      began: metrics.began,
      ended: (report) => {
        metrics.ended(report);
        onRequest(report);
      },
      bodies: new BodyWatch(limits),
      now: Date.now,
    }),
  );
  app.use(admitted(limits, signal));
  const peerOf = socketPeer();
  app.use(async (c, next) => {
    const { incoming } = c.env;
    // At once: the descriptor may be another's later.
    const [peer] = incoming === undefined ? [] : peerOf(connectionOfRequest(incoming, service.proxies)).names;
    const caller = await callerOf(c, service);
    c.set('caller', { ...caller, actor: caller.actor ?? peer });
    const [, asked] = VERSION.exec(new URL(c.req.url).pathname) ?? [];
    c.set('apiMinor', asked === undefined ? MAX_MINOR : checkedMinor(Number(asked)));
    await next();
  });
  const past = pastOf(service);
  const docker: Docker = { service, past, images: async () => (await past()) ?? service.store };
  app.route('/', systemRoutes(docker));
  app.route('/images', archiveRoutes(docker));
  app.route('/images', imageRoutes(docker));
  app.route('/', elsewhereRoutes(docker));
  app.notFound(() => {
    throw new HttpFailure(404, 'PATH_UNKNOWN', 'page not found');
  });
  app.onError((error, c) => {
    const { incoming } = c.env;
    const isOurs = !(error instanceof HttpFailure) && answerTo(error).status === 500;
    if (isOurs && !isBrokenOff(incoming, error)) service.onFailure(error);
    const answer = failedResponse(error);
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
function checkedMinor(minor: number): number {
  if (minor >= MIN_MINOR && minor <= MAX_MINOR) return minor;
  const message =
    minor < MIN_MINOR
      ? `client version 1.${minor} is too old. Minimum supported API version is 1.${MIN_MINOR}, ` +
        'please upgrade your client to a newer version'
      : `client version 1.${minor} is too new. Maximum supported API version is 1.${MAX_MINOR}`;
  throw new HttpFailure(400, 'REQUEST_INVALID', message);
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

/** An error as Docker's clients read it. */
function failedResponse(error: unknown): Response {
  const { status, headers, body } = answerTo(error);
  const text = `${JSON.stringify({ message: body.errors[0].message })}\n`;
  const own = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
  return new Response(text, { status, headers: { ...own, ...headers } });
}
