import type { ServerResponse } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { ServerEnv } from '../exchange.js';
import { waitForReader } from '../service/body-watch.js';
import type { EventFeed, FeedAnswer } from './event-feed.js';

/**
 * Answers with events: into node:http itself, and without waiting for the end, so that nothing of
 * the request is kept while a client follows; or as a Web stream. Calls `onGone` when it is over.
 */
export function feedResponse(
  c: Context<ServerEnv>,
  feed: EventFeed,
  answer: FeedAnswer,
  onGone: () => void = () => undefined,
): Response {
  const headers = {
    'content-type': answer.format.contentType,
    'cache-control': 'no-store',
    // nginx would buffer it.
    'x-accel-buffering': 'no',
  };
  if (c.req.method === 'HEAD') {
    onGone();
    return new Response(null, { headers });
  }
  try {
    feed.checkRoom();
  } catch (error) {
    onGone();
    throw error;
  }
  const outgoing = outgoingOf(c);
  if (outgoing === undefined) {
    const body = new PassThrough();
    body.once('close', onGone);
    feed.open(body, answer);
    return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { headers });
  }
  // A client that left while it was authenticated closes no second time.
  if (outgoing.destroyed) {
    onGone();
    return RESPONSE_ALREADY_SENT;
  }
  waitForReader(outgoing);
  outgoing.once('close', onGone);
  outgoing.writeHead(200, headers);
  // A client that waits for its first event must see that it was accepted.
  if (answer.format.begin() === '') outgoing.flushHeaders();
  feed.open(outgoing, answer);
  return RESPONSE_ALREADY_SENT;
}

/** Returns the response of node:http; undefined where a program calls `fetch`. */
export function outgoingOf(c: Context<ServerEnv>): ServerResponse | undefined {
  return (c.env as Partial<ServerEnv['Bindings']> | undefined)?.outgoing;
}
