import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { type EventStore, eventStreamResponse, openStore, seqAfter } from '../../src/index.js';

/*
 * The same with hono, whose handlers return a Response; also for Deno, Bun and others that do:
 *
 *     node dist/scripts/examples/events-hono.js [DIRECTORY] [PORT]
 */

/** Returns an app that has the events of `store` at /events. */
export function eventApp(store: EventStore): Hono {
  const app = new Hono();
  app.get('/events', (context) => {
    const lastEventId = context.req.header('last-event-id');
    const follower = store.log.follow({ from: seqAfter(lastEventId) });
    return eventStreamResponse(follower, { lastEventId, signal: context.req.raw.signal });
  });
  app.onError((error, context) => {
    if (error instanceof RangeError) return context.body(null, 204);
    throw error;
  });
  return app;
}

async function main(directory = './data', port = '8080'): Promise<void> {
  const { fetch } = eventApp(await openStore(directory));
  serve({ fetch, port: Number(port) });
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2], process.argv[3]);
