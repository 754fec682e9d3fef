/** What is to be called when a signal is aborted. */
const callsOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `call` when `signal` is aborted, unless the function that is returned was called before. However many wait for one
 * signal, it has one listener: Node warns of a leak at the eleventh, and a thousand followers may end with one program.
 */
export function callOnAbort(signal: AbortSignal, call: () => void): () => void {
  let calls = callsOf.get(signal);
  if (calls === undefined) {
    const created = new Set<() => void>();
    signal.addEventListener('abort', () => runAll(created), { once: true });
    callsOf.set(signal, created);
    calls = created;
  }
  const waiting = calls.add(call);
  return () => {
    waiting.delete(call);
  };
}

function runAll(calls: Set<() => void>): void {
  for (const call of [...calls]) call();
  calls.clear();
}
