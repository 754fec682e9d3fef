import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { type EventStore, eventStreamResponse, openStore, seqAfter } from '../../src/index.js';

/*
 * Serves the changes of tags as server-sent events, with node:http alone:
 *
 *     node dist/scripts/examples/events-node.js [DIRECTORY] [PORT]
 *     curl -N -H 'Last-Event-ID: 0' http://localhost:8080/events
 *
 * A browser's EventSource reconnects by itself and sends the id of the last event that it has: the
 * stream continues after it, so a client misses nothing over restarts of either side.
 */

/** Answers a request for events. Run it in the program that writes to the store. */
export async function serveEvents(
  store: EventStore,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const lastEventId = request.headers['last-event-id']?.toString();
    const filter = { type: ['ReferenceSet', 'ReferenceRemoved'] } as const;
    const follower = store.log.follow({ from: seqAfter(lastEventId), filter });
    const { status, headers, body } = eventStreamResponse(follower, { lastEventId });
    response.writeHead(status, Object.fromEntries(headers));
    // A client that leaves cancels the body, which ends the follower.
    await pipeline(Readable.fromWeb(body as ReadableStream<Uint8Array>), response);
  } catch (error) {
    // Not a seq: another program's id. 204 tells an EventSource not to come again.
    if (error instanceof RangeError) response.writeHead(204).end();
    else response.destroy();
  }
}

/** Returns a server of the events of `store` at /events. */
export function eventServer(store: EventStore): Server {
  return createServer((request, response) => {
    if (request.url === '/events') void serveEvents(store, request, response);
    else response.writeHead(404).end();
  });
}

async function main(directory = './data', port = '8080'): Promise<void> {
  eventServer(await openStore(directory)).listen(Number(port));
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2], process.argv[3]);
