import type { IncomingMessage } from 'node:http';
import { systemCode } from '../../store/files/files.js';

/** What reading the body of a request fails with once its connection is gone. */
const BREAKS: ReadonlySet<string> = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE']);

/** Whether a request failed because its client left before its body was whole: no failure of the server's. */
export function isBrokenOff(incoming: IncomingMessage | undefined, error: unknown): boolean {
  if (incoming === undefined || incoming.complete || !incoming.destroyed) return false;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause === incoming.errored || BREAKS.has(systemCode(cause))) return true;
  }
  return false;
}
