import { MAX_MIRROR_CLIENTS } from '../../limits.js';
import { RecentMap } from '../../model/collections.js';
import { RegistryClient } from '../../registry-client/registry-client.js';
import { type RegistryOptions, RegistrySession } from '../../registry-client/registry-session.js';
import type { CompiledRule } from './rules.js';

/** Where a repository comes from, and by which rule. */
export interface Upstream {
  readonly rule: CompiledRule;
  readonly host: string;
  readonly path: string;
}

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

/** The upstreams of mirrored repositories; connections of MAX_MIRROR_CLIENTS are kept, the last used. */
export class Upstreams {
  readonly #rules: readonly CompiledRule[];
  readonly #options: RegistryOptions;
  readonly #entries = new RecentMap<string, Entry>(MAX_MIRROR_CLIENTS, (entry) => {
    entry.isDropped = true;
    closeUnused(entry);
  });

  constructor(rules: readonly CompiledRule[], options: Pick<RegistryOptions, 'credentials' | 'signal' | 'now'>) {
    this.#rules = rules;
    this.#options = options;
  }

  /** Returns where a repository, by its canonical name, comes from; undefined if it is this server's own. */
  of(repository: string): Upstream | undefined {
    const rule = this.#rules.find((each) => each.matches(repository));
    return rule && { rule, ...rule.upstreamOf(repository) };
  }

  /** Works with the client of a mirrored repository, whose connections stay open meanwhile. */
  async with<Answer>(repository: string, work: (client: RegistryClient) => Promise<Answer>): Promise<Answer> {
    const { client, release } = this.use(repository);
    try {
      return await work(client);
    } finally {
      release();
    }
  }

  /** Returns the client of a mirrored repository. */
  use(repository: string): ClientUse {
    const entry = this.#entries.get(repository) ?? { client: this.#connect(repository), uses: 0, isDropped: false };
    entry.uses += 1;
    this.#entries.set(repository, entry);
    const release = (): void => {
      entry.uses -= 1;
      closeUnused(entry);
    };
    return { client: entry.client, release };
  }

  #connect(repository: string): RegistryClient {
    const upstream = this.of(repository);
    if (upstream === undefined) throw new RangeError(`no rule is for ${repository}`);
    const { plainHttp, insecure } = upstream.rule;
    return new RegistryClient(
      new RegistrySession(upstream.host, { ...this.#options, plainHttp, insecure }),
      upstream.path,
    );
  }
}

/** A copy in progress outlives the place of its client. */
function closeUnused({ client, uses, isDropped }: Entry): void {
  if (isDropped && uses === 0) client.session.close();
}
