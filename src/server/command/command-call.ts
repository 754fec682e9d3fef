import type { EventStore } from '../../store/event-store.js';
import type { Connection, Grant } from '../access/access.js';
import type { Frame, FrameChannel } from './frames.js';

/** A command that a client asks for. */
export interface CommandCall {
  readonly store: EventStore;
  readonly grant: Grant;
  readonly connection: Connection;
  /** `User-Agent` of the client. */
  readonly agent: string | undefined;
  /** `X-Request-ID` of the client. */
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  /** The first frame: its payload is the client's word. */
  readonly start: Frame;
  readonly channel: FrameChannel;
  /** The frames after the first. Their end is that of the connection; what the call leaves is dropped. */
  readonly frames: AsyncIterable<Frame>;
  /** Aborted when the server closes, or the client took nothing or sent nothing for too long. */
  readonly signal: AbortSignal;
}

/** Runs a command for a client and sends it the exit code. Rejects for what no client could cause. */
export type RunCommand = (call: CommandCall) => Promise<void>;

/** Why the server aborts a command. */
export class CommandStopped extends Error {
  override readonly name = 'CommandStopped';
}
