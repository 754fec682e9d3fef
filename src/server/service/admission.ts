import type { MiddlewareHandler } from 'hono';
import { MAX_REQUEST_HEADERS } from '../../limits.js';
import type { ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';

/** Limits of requests, and how many there are. */
interface Admission {
  readonly limits: {
    /** Characters of path and query. */
    readonly maxUrlLength: number;
    /** Requests in progress. Feeds do not count: they wait. */
    readonly maxRequests: number;
  };
  readonly atWork: { count: number };
  /** Aborts when the server closes. */
  readonly signal: AbortSignal;
}

/** Paths of answers that have no end, or wait for an event. */
const FEED = /^\/(?:events|consumers\/[^/]+\/events)\/?$/;

/** Seconds after which a client may try again. */
const RETRY_AFTER_BUSY_S = 1;
const RETRY_AFTER_STOP_S = 10;

/** Refuses requests beyond the limits, and all of them once the server closes. */
export function admitted({ limits, atWork, signal }: Admission): MiddlewareHandler<ServerEnv> {
  const { maxUrlLength, maxRequests } = limits;
  return async (c, next) => {
    if (signal.aborted) {
      const headers = { 'retry-after': String(RETRY_AFTER_STOP_S), connection: 'close' };
      throw new HttpFailure(503, 'STOPPING', 'the server is stopping', { headers });
    }
    if (c.req.url.length > maxUrlLength) {
      throw new HttpFailure(414, 'URI_TOO_LONG', `a path has at most ${maxUrlLength} characters`);
    }
    if (headersOf(c.env) > MAX_REQUEST_HEADERS) {
      throw new HttpFailure(431, 'HEADERS_TOO_LARGE', `a request has at most ${MAX_REQUEST_HEADERS} headers`);
    }
    if (hostsOf(c.env) > 1) throw new HttpFailure(400, 'REQUEST_INVALID', 'a request has one header Host');
    if (FEED.test(c.req.path)) return next();
    if (atWork.count >= maxRequests) {
      const headers = { 'retry-after': String(RETRY_AFTER_BUSY_S) };
      throw new HttpFailure(503, 'TOOMANYREQUESTS', `${maxRequests} requests are in progress`, { headers });
    }
    atWork.count++;
    try {
      await next();
    } finally {
      atWork.count--;
    }
  };
}

/** Headers Host, of which Node drops all but the first (RFC 9112, 3.2). */
function hostsOf(bindings: Partial<ServerEnv['Bindings']> | undefined): number {
  const raw = bindings?.incoming?.rawHeaders ?? [];
  return raw.filter((text, at) => at % 2 === 0 && text.toLowerCase() === 'host').length;
}

function headersOf(bindings: Partial<ServerEnv['Bindings']> | undefined): number {
  // Names and values in turn.
  return (bindings?.incoming?.rawHeaders.length ?? 0) / 2;
}
