import { createServer, type Server } from 'node:http';
import { checkProof, type ErrorKind, type EventStore, eventToJSON, isStoreError, openStore } from '../../src/index.js';

/*
 * Answers an auditor's questions over HTTP, beside the program that writes to the store:
 *
 *     node dist/scripts/examples/audit-service.js [DIRECTORY] [PORT]
 *
 *     GET /history?of=shop/app:prod        every image of a name: from when to when, by whom, why
 *     GET /events?of=shop/app:prod         every event about a name, an image or a chain of layers
 *     GET /resolve?name=shop/app:prod&at=2026-11-24
 *     GET /proof?seq=17                    a proof of one event, to check without this service
 *
 * Each request opens the store as it is now, for reading only: nothing is locked or written.
 */

type Answer = (store: EventStore, ask: (name: string) => string) => Promise<unknown>;

const answers: Readonly<Record<string, Answer>> = {
  '/history': (store, ask) => store.referenceHistory(ask('of')),
  '/events': async (store, ask) => {
    const events: unknown[] = [];
    for await (const event of store.history(ask('of'), { limit: 1_000 })) events.push(eventToJSON(event));
    return events;
  },
  '/resolve': async (store, ask) => ({ image: await store.resolve(ask('name'), { at: ask('at') }) }),
  '/proof': async (store, ask) => {
    const proof = await store.prove(Number(ask('seq')));
    const { event } = await checkProof(proof);
    return { event: event && eventToJSON(event), proof };
  },
};

const statuses: Readonly<Record<ErrorKind, number>> = {
  NotFound: 404,
  InvalidParameter: 400,
  Conflict: 409,
  Unavailable: 503,
  Corrupt: 500,
  Internal: 500,
};

/** Returns the status and the JSON of an answer to `url`. */
async function answerTo(directory: string, path: string): Promise<readonly [status: number, body: unknown]> {
  const url = new URL(path, 'http://localhost');
  const answer = answers[url.pathname];
  if (answer === undefined) return [404, { message: `ask ${Object.keys(answers).join(', ')}` }];
  const ask = (name: string): string => {
    const value = url.searchParams.get(name);
    if (value !== null) return value;
    throw new RangeError(`${name} is missing`);
  };
  try {
    await using store = await openStore(directory, { readOnly: true });
    return [200, await answer(store, ask)];
  } catch (error) {
    if (isStoreError(error)) return [statuses[error.kind], { code: error.code, message: error.message }];
    if (error instanceof RangeError) return [400, { message: error.message }];
    throw error;
  }
}

/** Returns a server of answers about the store in `directory`. */
export function auditServer(directory: string): Server {
  return createServer((request, response) => {
    void answerTo(directory, request.url ?? '/')
      .catch(() => [500, { message: 'see the log of the service' }] as const)
      .then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
  });
}

if (import.meta.filename === process.argv[1])
  auditServer(process.argv[2] ?? './data').listen(Number(process.argv[3] ?? 8080));
