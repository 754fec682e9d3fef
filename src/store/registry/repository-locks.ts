/** Whether an action of a repository runs beside others that are `shared`, or while no other does. */
export type LockKind = 'shared' | 'alone';

interface Lock {
  /** Ends with the last action that runs alone. */
  last: Promise<unknown>;
  /** Actions since then. */
  readonly shared: Set<Promise<unknown>>;
  users: number;
}

/** Runs actions of each repository in request order: shared ones together, others alone. */
export class RepositoryLocks {
  readonly #locks = new Map<string, Lock>();

  async run<Result>(repository: string, kind: LockKind, action: () => Promise<Result>): Promise<Result> {
    const lock = this.#locks.get(repository) ?? { last: Promise.resolve(), shared: new Set(), users: 0 };
    this.#locks.set(repository, lock);
    lock.users += 1;
    try {
      return await begin(lock, kind, action);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) this.#locks.delete(repository);
    }
  }
}

function begin<Result>(lock: Lock, kind: LockKind, action: () => Promise<Result>): Promise<Result> {
  if (kind === 'shared') {
    const running = lock.last.then(action);
    const ended = running.then(nothing, nothing);
    lock.shared.add(ended);
    void ended.then(() => lock.shared.delete(ended));
    return running;
  }
  const running = Promise.all([lock.last, ...lock.shared]).then(action);
  lock.last = running.then(nothing, nothing);
  lock.shared.clear();
  return running;
}

function nothing(): void {
  // Its caller hears how an action ended; the next one waits only for the end.
}
