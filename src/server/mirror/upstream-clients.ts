import { MAX_MIRROR_CLIENTS } from '../../limits.js';
import { RecentMap } from '../../model/recent-map.js';
import type { RegistryClient } from '../../registry-client/registry-client.js';

interface Entry {
  readonly client: RegistryClient;
  uses: number;
  isDropped: boolean;
}

/** A client in use: its connections stay until it is released. */
export interface ClientUse {
  readonly client: RegistryClient;
  /** To be called once. */
  release(): void;
}

/** Connections of repositories upstream; those of MAX_MIRROR_CLIENTS are kept, the last used. */
export class UpstreamClients {
  readonly #entries = new RecentMap<string, Entry>(MAX_MIRROR_CLIENTS, (entry) => {
    entry.isDropped = true;
    closeUnused(entry);
  });

  /** Returns the client of a repository; `make` makes one that is not there. */
  use(repository: string, make: () => RegistryClient): ClientUse {
    const entry = this.#entries.get(repository) ?? { client: make(), uses: 0, isDropped: false };
    entry.uses += 1;
    this.#entries.set(repository, entry);
    const release = (): void => {
      entry.uses -= 1;
      closeUnused(entry);
    };
    return { client: entry.client, release };
  }
}

/** A copy in progress outlives the place of its client. */
function closeUnused({ client, uses, isDropped }: Entry): void {
  if (isDropped && uses === 0) client.session.close();
}
