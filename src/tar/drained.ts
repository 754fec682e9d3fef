import type { Writable } from 'node:stream';

/** What a writer waits for: a stream of Node's, or one of tar-stream's that emits the same. */
type Sink = Pick<Writable, 'destroyed'> & {
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
};

/** Resolves when `sink` takes more, or never will because it was destroyed. Call it after a write that was told to wait. */
export function drained(sink: Sink): Promise<void> {
  // It says so only once: whoever listens after that would wait for ever.
  if (sink.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
  });
}
