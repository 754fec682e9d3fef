import type { ExecutionContext } from 'ava';
import type { RequestReport } from '../../../src/server/service/access-log.js';
import { type ServeOptions, type Serving, serveStore } from '../../../src/server/service/serve-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openTestStore } from '../../support/test-store.js';

/** A store that is served for a test. */
export interface TestServing extends Serving {
  readonly store: EventStore;
  readonly url: string;
  readonly port: number;
  readonly reports: readonly RequestReport[];
  readonly notices: readonly string[];
  /** Resolves once so many requests were reported. */
  readonly reported: (count: number) => Promise<void>;
}

/** Serves a new store at a port of this machine until the test ends. */
export async function serving(t: ExecutionContext, options: Partial<ServeOptions> = {}): Promise<TestServing> {
  const store = await openTestStore(t);
  const reports: RequestReport[] = [];
  const notices: string[] = [];
  const waiting = new Set<() => void>();
  const served = await serveStore(store, {
    listen: [{ host: '127.0.0.1', port: 0 }],
    onNotice: (notice) => notices.push(notice),
    ...options,
    server: {
      onRequest: (report) => {
        reports.push(report);
        for (const tell of waiting) tell();
      },
      ...options.server,
    },
  });
  t.teardown(() => served.stop(0));
  const [url = ''] = served.urls;
  const reported = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const tell = (): void => {
        if (reports.length >= count) resolve();
      };
      waiting.add(tell);
      tell();
    });
  return { ...served, store, url, port: Number(new URL(url).port), reports, notices, reported };
}
