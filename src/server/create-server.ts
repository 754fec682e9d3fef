import type { RequestListener } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { mustBeFunction, mustBeObject, mustBeOptions } from '../store/argument-types.js';
import type { EventStore } from '../store/event-store.js';
import { localAccess } from './access/access.js';
import { buildApp } from './app.js';
import { Webhooks } from './feed/webhooks.js';
import type { ServerOptions } from './service.js';

/** A store over HTTP. */
export interface StoreServer {
  /** For `http.createServer`, and https. */
  readonly listener: RequestListener;
  /** For frameworks that have Web requests. Whoever can call it may do everything, unless `access` says otherwise. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Ends feeds and other long answers, and webhooks. The store stays open. */
  close(): Promise<void>;
}

/** Serves an open store: registry, feed, evidence. The store stays the caller's to close, after the server. */
export function createServer(store: EventStore, options: ServerOptions = {}): StoreServer {
  mustBeObject('store', store);
  mustBeOptions(options, { access: true, webhooks: true, onFailure: true });
  const { access = localAccess, webhooks: targets = [], onFailure = warn } = options;
  mustBeFunction('onFailure', onFailure);
  const closing = new AbortController();
  const webhooks = new Webhooks({ store, onFailure }, targets);
  const app = buildApp({ store, access, onFailure, webhooks, signal: closing.signal });
  return {
    listener: getRequestListener((request, env) => app.fetch(request, env), { overrideGlobalObjects: false }),
    fetch: async (request) => app.fetch(request, {}),
    close: async () => {
      closing.abort();
      await webhooks.close();
    },
  };
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}
