import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { systemCode } from '../../store/files/files.js';
import { rawAnswer, type RefusalBody } from './connections.js';

/** How slow bodies may be. */
export interface BodyLimits {
  /** Milliseconds that a body may be slower than its rate; 0 for any time. */
  readonly stallTimeoutMs: number;
  /** Bytes a second below which it is slow. */
  readonly minRate: number;
}

/** A request under watch. */
export interface Watched {
  /** Kept here: Node takes it from a request that ended. */
  readonly socket: Socket;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readBytes: number;
  sentBytes: number;
  slowInMs: number;
  slowOutMs: number;
  /** Status of its end, if the watch ended it. */
  status: number | undefined;
}

/** Answers that may wait for their readers as long as they like. */
const patient = new WeakSet<ServerResponse>();

/** Exempts a feed, which is read as its client works and holds no more than a piece of text, from the rate of bodies. */
export function waitForReader(outgoing: ServerResponse): void {
  patient.add(outgoing);
}

/** At most: a shorter time of stalls is looked at four times. */
const MAX_CHECK_MS = 5_000;

/**
 * Ends requests whose clients send or take their bodies slower than a rate: one byte a second would
 * hold a connection, and what stands behind it, for days. A large upload may take any time.
 */
export class BodyWatch {
  readonly #limits: BodyLimits;
  readonly #bodyOf: RefusalBody | undefined;
  readonly #checkMs: number;
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: BodyLimits, bodyOf?: RefusalBody) {
    this.#limits = limits;
    this.#bodyOf = bodyOf;
    this.#checkMs = Math.min(MAX_CHECK_MS, Math.ceil(limits.stallTimeoutMs / 4));
  }

  watch(incoming: IncomingMessage, outgoing: ServerResponse): Watched {
    const { socket } = incoming;
    const watched: Watched = {
      socket,
      incoming,
      outgoing,
      readBytes: socket.bytesRead,
      sentBytes: socket.bytesWritten,
      slowInMs: 0,
      slowOutMs: 0,
      status: undefined,
    };
    if (this.#limits.stallTimeoutMs > 0) {
      this.#watched.add(watched);
      this.#timer ??= setInterval(() => this.#check(), this.#checkMs).unref();
    }
    return watched;
  }

  /** Ends the watch once the answer has left; what is still sent of a refused body stays under watch. */
  forget(watched: Watched): void {
    const { incoming, socket } = watched;
    if (incoming.complete || socket.destroyed) this.#drop(watched);
  }

  #drop(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    for (const each of this.#watched) {
      const { incoming, outgoing, socket } = each;
      const isOver = outgoing.destroyed || outgoing.writableFinished;
      if (socket.destroyed || (isOver && incoming.complete)) this.#drop(each);
      else if (this.#isSlowSender(each)) this.#end(each, 408);
      else if (!patient.has(outgoing) && this.#isSlowReader(each)) this.#end(each, 0);
    }
  }

  #isSlowSender(each: Watched): boolean {
    const { incoming, socket } = each;
    const { bytesRead } = socket;
    const received = bytesRead - each.readBytes;
    each.readBytes = bytesRead;
    // What waits here was not taken by us yet: the client is not at fault.
    const isOurs = incoming.complete || incoming.readableLength > 0;
    each.slowInMs = isOurs || this.#isFast(received) ? 0 : each.slowInMs + this.#checkMs;
    return each.slowInMs >= this.#limits.stallTimeoutMs;
  }

  #isSlowReader(each: Watched): boolean {
    const { outgoing, socket } = each;
    const pending = outgoing.writableLength + socket.writableLength;
    const sent = socket.bytesWritten - socket.writableLength;
    const isMoving = sent !== each.sentBytes;
    each.sentBytes = sent;
    each.slowOutMs = pending === 0 || isMoving ? 0 : each.slowOutMs + this.#checkMs;
    // A piece counts once all of it was taken.
    return each.slowOutMs >= this.#limits.stallTimeoutMs + (pending / this.#limits.minRate) * 1_000;
  }

  #isFast(bytes: number): boolean {
    return bytes >= (this.#limits.minRate * this.#checkMs) / 1_000;
  }

  #end(each: Watched, status: number): void {
    const { incoming, outgoing, socket } = each;
    each.status = outgoing.headersSent ? outgoing.statusCode : status;
    if (!outgoing.headersSent && status > 0) {
      socket.write(rawAnswer(status, 'Request Timeout', 'REQUEST_TIMEOUT', { bodyOf: this.#bodyOf }));
    }
    socket.destroySoon();
    incoming.destroy();
  }
}

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
