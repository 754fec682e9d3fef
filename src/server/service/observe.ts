import type { Socket } from 'node:net';
import type { Context, MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Caller, ServerEnv } from '../exchange.js';
import { answerTo } from '../failure.js';
import type { Service } from '../service.js';
import { type BodyWatch, isBrokenOff, type Watched } from './body-watch.js';
import { loggedPath, type RequestReport } from './access-log.js';

/** Bytes of a connection that earlier requests account for. */
const accounted = new WeakMap<Socket, { in: number; out: number }>();

/** Reports each request of a service once its answer has left, or never will. */
export function observed(
  { metrics, onRequest }: Pick<Service, 'metrics' | 'onRequest'>,
  bodies: BodyWatch,
): MiddlewareHandler<ServerEnv> {
  const ended = (report: RequestReport): void => {
    metrics.ended(report);
    onRequest(report);
  };
  return async (c, next) => {
    const time = Date.now();
    const startedAt = performance.now();
    metrics.began();
    const { incoming, outgoing } = bindingsOf(c);
    if (incoming === undefined || outgoing === undefined) {
      await next();
      const durationMs = performance.now() - startedAt;
      ended({ ...describe(c), status: c.res.status, bytesIn: 0, bytesOut: 0, isCut: false, time, durationMs });
      return;
    }
    const watched = bodies.watch(incoming, outgoing);
    const left = new Promise<void>((resolve) => outgoing.once('close', resolve));
    try {
      await next();
    } finally {
      // The answer leaves after this returns, and nobody waits for it.
      const isGone = outgoing.destroyed && !outgoing.headersSent;
      void reportOnceLeft({ left, watched, time, startedAt, described: describe(c), isGone }, { bodies, ended });
    }
  };
}

interface Leaving {
  readonly left: Promise<void>;
  readonly watched: Watched;
  readonly time: number;
  readonly startedAt: number;
  readonly described: Described;
  /** Whether the client left before there was an answer. */
  readonly isGone: boolean;
}

/** Outside of the handler, whose exchange would otherwise stay in memory as long as a client follows the log. */
async function reportOnceLeft(
  { left, watched, time, startedAt, described, isGone }: Leaving,
  { bodies, ended }: { readonly bodies: BodyWatch; readonly ended: (report: RequestReport) => void },
): Promise<void> {
  await left;
  bodies.forget(watched);
  const { outgoing, socket } = watched;
  const isCut = !outgoing.writableFinished;
  const status = outgoing.headersSent && !isGone ? outgoing.statusCode : 0;
  const slow = watched.status === undefined ? {} : { status: watched.status, code: 'REQUEST_TIMEOUT' };
  const durationMs = performance.now() - startedAt;
  ended({ ...described, status, ...trafficOf(socket), isCut, ...slow, time, durationMs });
}

type Answer = Pick<RequestReport, 'status' | 'bytesIn' | 'bytesOut' | 'isCut'> & { readonly code?: string };

type Described = Omit<RequestReport, 'time' | 'durationMs' | keyof Omit<Answer, 'code'>>;

function bindingsOf(c: Context<ServerEnv>): Partial<ServerEnv['Bindings']> {
  // Hono has no bindings at all where `fetch` was called with none.
  return (c.env as Partial<ServerEnv['Bindings']> | undefined) ?? {};
}

function describe(c: Context<ServerEnv>): Described {
  // Absent when it was refused before.
  const caller = c.get('caller') as Caller | undefined;
  const { incoming } = bindingsOf(c);
  const refusal = c.get('refusal');
  const { body } = c.error === undefined || isBrokenOff(incoming, c.error) ? {} : answerTo(c.error);
  return {
    address: caller?.address ?? (incoming === undefined ? undefined : (incoming.socket.remoteAddress ?? '')),
    actor: caller?.grant.actor,
    method: c.req.method,
    path: loggedPath(c.req.url),
    route: c.get('route') ?? routePath(c),
    agent: c.req.header('user-agent'),
    requestId: caller?.requestId ?? c.req.header('x-request-id'),
    traceparent: c.req.header('traceparent'),
    code: body?.errors[0].code,
    reason: refusal?.reason,
    user: refusal?.user,
  };
}

function trafficOf(socket: Socket): Pick<RequestReport, 'bytesIn' | 'bytesOut'> {
  const before = accounted.get(socket) ?? { in: 0, out: 0 };
  const after = { in: socket.bytesRead, out: socket.bytesWritten };
  accounted.set(socket, after);
  return { bytesIn: after.in - before.in, bytesOut: after.out - before.out };
}
