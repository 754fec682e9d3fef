import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { type ServeOptions, serveStore } from '../../../src/server/service/serve-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { OpenOptions } from '../../../src/store/store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';

/** An answer of the API, with its whole body. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What a request may have beside method and path. */
interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable | Uint8Array | string;
}

/** A store that speaks Docker's API on its own socket. */
export class Engine {
  readonly store: EventStore;
  readonly socket: string;
  /** What handlers failed with unexpectedly: it fails the test. */
  readonly failures: unknown[] = [];

  /** Where it listens. */
  urls: readonly string[] = [];
  /** Ends the server; the store stays open. */
  stop: () => Promise<number> = async () => 0;

  private constructor(store: EventStore, socket: string) {
    this.store = store;
    this.socket = socket;
  }

  /** Serves a new store, or `store`, until the test ends. */
  static async start(
    t: ExecutionContext,
    { store, open, ...options }: Partial<ServeOptions> & { store?: EventStore; open?: OpenOptions } = {},
  ): Promise<Engine> {
    const engine = new Engine(
      store ?? (await openTestStore(t, { onNotice: () => undefined, ...open })),
      join(await temporaryDirectory(t), 'd'),
    );
    const served = await serveStore(engine.store, {
      listen: [],
      docker: [engine.socket],
      onNotice: () => undefined,
      ...options,
      server: { onFailure: (error) => engine.failures.push(error), ...options.server },
    });
    engine.urls = served.urls;
    engine.stop = () => served.stop(1_000);
    t.teardown(async () => {
      await engine.stop();
      for (const failure of engine.failures) throw failure;
    });
    return engine;
  }

  /** Sends a request, and resolves once its answer begins. */
  async begin(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<IncomingMessage> {
    const sent = request({ socketPath: this.socket, method, path, headers, agent: false });
    const answered = once(sent, 'response');
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) sent.end(body);
    else body.pipe(sent);
    const [answer] = (await answered) as [IncomingMessage];
    return answer;
  }

  async send(method: string, path: string, sent?: Sent): Promise<Answer> {
    const answer = await this.begin(method, path, sent);
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString() };
  }

  /** GETs JSON; fails unless the status is 200. */
  async get<Value>(path: string): Promise<Value> {
    const { status, text } = await this.send('GET', path);
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(text) as Value;
  }

  /** Loads an archive and returns the texts of its answer. */
  async load(archive: Uint8Array): Promise<string[]> {
    const { text } = await this.send('POST', '/images/load', { body: archive });
    return lines<{ stream: string }>(text).map(({ stream }) => stream);
  }
}

/** The values of a stream, a line each. */
export function lines<Value>(text: string): Value[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Value);
}

/** Filters as the docker command line sends them. */
export function filters(wanted: Readonly<Record<string, readonly string[]>>): string {
  const map = Object.entries(wanted).map(([key, values]) => [
    key,
    Object.fromEntries(values.map((each) => [each, true])),
  ]);
  return `filters=${encodeURIComponent(JSON.stringify(Object.fromEntries(map)))}`;
}
