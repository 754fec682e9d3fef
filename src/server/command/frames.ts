import type { Duplex, Writable } from 'node:stream';
import { MAX_COMMAND_FRAME_BYTES } from '../../limits.js';
import type { EventStore } from '../../store/event-store.js';
import type { Connection, Grant } from '../access/access.js';

/*
 * The frames between a command line and the server that runs its command. A frame is the length of
 * the rest (4 bytes, big endian), its kind (1 byte), and its payload: JSON, or bytes.
 */

/** The protocol, as in the header `Upgrade`. */
export const COMMAND_PROTOCOL = 'imagelog-command/1';

/** The path of the upgrade. */
export const COMMAND_PATH = '/command';

/** Kinds of frames, by their number. From the client: */
export const fromClient = {
  /** JSON, the first frame: the command line and its surroundings. */
  start: 1,
  /** A stream's number (4 bytes), and bytes of it: at most as many as were asked for. */
  data: 2,
  /** JSON: a stream has ended, or failed. */
  end: 3,
  /** JSON: the run was interrupted. */
  interrupt: 4,
  /** JSON: an output takes no more. */
  outputFailed: 5,
  /** JSON: the answer to a request. */
  reply: 6,
  /** JSON: the client is ready for the bytes of a file. */
  ready: 7,
  /** Nothing: the client is there. A server ends the command of one that is silent for an hour. */
  alive: 8,
} as const;

/** From the server: */
export const fromServer = {
  /** Bytes for an output. */
  stdout: 64,
  stderr: 65,
  pager: 66,
  /** JSON: something to do, with a number; the client replies. */
  request: 67,
  /** JSON: bytes that the client may send of a stream. */
  pull: 68,
  /** JSON: nothing more is needed of a stream. */
  cancel: 69,
  /** A stream's number (4 bytes), and bytes for the file that the client writes. */
  data: 70,
  /** JSON: the file is complete, or is not to be. */
  end: 71,
  /** JSON, the last frame: the exit code. */
  exit: 72,
} as const;

/** Number of the client's standard input, among the streams. */
export const STDIN_STREAM = 0;

/** An output of the client, by the name of its kind of frame. */
export type OutputName = 'stdout' | 'stderr' | 'pager';

/** A frame as it was received. */
export interface Frame {
  readonly kind: number;
  readonly payload: Buffer;
}

/** What came is no frame, or not what the protocol allows there. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const HEAD_BYTES = 5;

/** Frames over a connection, both ways. The connection is the caller's to end. */
export class FrameChannel {
  readonly #socket: Duplex;

  /** `head` is what was read of the connection already. */
  constructor(socket: Duplex, head: Uint8Array) {
    this.#socket = socket;
    if (head.length > 0) socket.unshift(head);
    // A lost connection ends the frames; each writer learns it from `isOpen`.
    socket.on('error', () => undefined);
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  /** Whether frames wait because the other side reads none. */
  get isBehind(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /**
   * Yields the frames that come, until the connection ends; reads no more than is taken.
   * @throws {FrameError} for one that is too long, or cut off
   */
  async *frames(): AsyncGenerator<Frame> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of connectionBytes(this.#socket)) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let length = lengthOf(rest); length !== undefined && rest.length >= length; length = lengthOf(rest)) {
        yield { kind: rest.readUInt8(4), payload: rest.subarray(HEAD_BYTES, length) };
        rest = rest.subarray(length);
      }
    }
    if (rest.length > 0) throw new FrameError('the connection ended within a frame');
  }

  /** Sends a frame with bytes; resolves once there is room for more, or the connection is lost. */
  async bytes(kind: number, ...parts: readonly Uint8Array[]): Promise<void> {
    if (!this.isOpen) return;
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE(size + 1);
    head.writeUInt8(kind, 4);
    // Copied: the caller may use its buffers again.
    this.#socket.write(Buffer.concat([head, ...parts]));
    if (this.isBehind) await drained(this.#socket);
  }

  /** Sends a frame with JSON, as `bytes` does. */
  json(kind: number, value: unknown): Promise<void> {
    return this.bytes(kind, Buffer.from(JSON.stringify(value)));
  }
}

/** What comes until the connection ends; lost or ended makes no difference to a reader of frames. */
async function* connectionBytes(socket: Duplex): AsyncGenerator<Buffer> {
  try {
    yield* socket as AsyncIterable<Buffer>;
  } catch {
    // Reset, or destroyed by this side.
  }
}

function lengthOf(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length < 1 || length > MAX_COMMAND_FRAME_BYTES) {
    throw new FrameError(`a frame has ${length} bytes, expected at most ${MAX_COMMAND_FRAME_BYTES}`);
  }
  return 4 + length;
}

/** Resolves once `stream` takes more, or never will. */
export function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.on(event, done);
  });
}

/** Returns the JSON object of a frame. @throws {FrameError} */
export function objectOf({ payload }: Frame): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(payload.toString());
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Not JSON either.
  }
  throw new FrameError('a frame has no JSON object');
}

/** Returns the number of the stream that a frame is of, and its bytes. @throws {FrameError} */
export function streamData({ payload }: Frame): { readonly stream: number; readonly bytes: Buffer } {
  if (payload.length < 4) throw new FrameError('a frame has no number of a stream');
  return { stream: payload.readUInt32BE(0), bytes: payload.subarray(4) };
}

/** Returns the bytes of a stream's number. */
export function streamNumber(stream: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(stream);
  return bytes;
}

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
