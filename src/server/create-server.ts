import type { IncomingMessage, RequestListener } from 'node:http';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { mustBeFunction, mustBeObject, mustBeOptions } from '../store/argument-types.js';
import type { EventStore } from '../store/event-store.js';
import { localAccess } from './access/access.js';
import { buildApp } from './app.js';
import { CommandService } from './command/command-service.js';
import type { ServerOptions, Service } from './service.js';

/** A store over HTTP. */
export interface StoreServer {
  /** For `http.createServer`, and https. */
  readonly listener: RequestListener;
  /** For frameworks that have Web requests. Whoever can call it may do everything, unless `access` says otherwise. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** For the event `upgrade` of the same server: `/command`, which the command line uses. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Uint8Array) => void;
  /** Ends feeds, commands and other long answers. The store stays open. */
  close(): Promise<void>;
}

/** Serves an open store: registry, feed, evidence. The store stays the caller's to close, after the server. */
export function createServer(store: EventStore, options: ServerOptions = {}): StoreServer {
  mustBeObject('store', store);
  mustBeOptions(options, { access: true, onFailure: true, runCommand: true });
  const { access = localAccess, onFailure = warn, runCommand } = options;
  mustBeFunction('onFailure', onFailure);
  if (runCommand !== undefined) mustBeFunction('runCommand', runCommand);
  const closing = new AbortController();
  const service: Service = { store, access, onFailure, signal: closing.signal };
  const app = buildApp(service);
  const commands = new CommandService(service, runCommand);
  return {
    listener: getRequestListener((request, env) => app.fetch(request, env), { overrideGlobalObjects: false }),
    fetch: async (request) => app.fetch(request, {}),
    upgrade: commands.upgrade,
    close: async () => {
      closing.abort();
      await commands.close();
    },
  };
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}
