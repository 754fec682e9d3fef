import { StoreError } from '../../errors.js';
import { CONSUMER_LEASE_MS } from '../../limits.js';

interface Lease {
  readonly holder: string;
  /** Requests of the holder that are open: while there are any, the lease does not end. */
  open: number;
  untilMs: number;
}

/** Who holds the name of a consumer: for CONSUMER_LEASE_MS after the last request that named a holder. */
export class Leases {
  readonly #leases = new Map<string, Lease>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Returns the holder of `name`, if any. */
  holder(name: string): string | undefined {
    return this.#current(name)?.holder;
  }

  /**
   * Takes or renews the lease until the returned function was called and the time is over. Without
   * a `holder` only checks that nobody has it.
   * @throws {StoreError} CONSUMER_TAKEN while another holder has it
   */
  take(name: string, holder: string | undefined): () => void {
    const current = this.#current(name);
    if (current !== undefined && current.holder !== holder) throw taken(name, current.holder);
    if (holder === undefined) return () => undefined;
    const lease = current ?? { holder, open: 0, untilMs: 0 };
    lease.open += 1;
    this.#leases.set(name, lease);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      lease.open -= 1;
      lease.untilMs = this.#now() + CONSUMER_LEASE_MS;
    };
  }

  /** Ends the lease of a consumer that was removed. */
  forget(name: string): void {
    this.#leases.delete(name);
  }

  #current(name: string): Lease | undefined {
    const lease = this.#leases.get(name);
    if (lease === undefined || lease.open > 0 || lease.untilMs > this.#now()) return lease;
    this.#leases.delete(name);
    return undefined;
  }
}

function taken(name: string, holder: string): StoreError {
  return new StoreError('CONSUMER_TAKEN', `the consumer ${name} is taken: ${holder} holds it`, {
    data: { name, holder },
  });
}
