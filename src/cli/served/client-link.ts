import { Readable, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { COMMAND_CHUNK_BYTES, COMMAND_WINDOW_BYTES } from '../../limits.js';
import {
  type Frame,
  type FrameChannel,
  FrameError,
  fromClient,
  fromServer,
  objectOf,
  type OutputName,
  STDIN_STREAM,
  streamData,
  streamNumber,
} from '../../server/command/frames.js';
import type { PagerStream } from '../command-files.js';
import { fromWire } from '../wire-errors.js';

interface Pending {
  readonly resolve: (answer: Readonly<Record<string, unknown>>) => void;
  readonly reject: (error: unknown) => void;
}

/** The server's end of a connection: what the client has to do, and what comes of it. */
export class ClientLink {
  readonly #channel: FrameChannel;
  readonly #pending = new Map<number, Pending>();
  readonly #inputs = new Map<number, ClientInput>();
  readonly #outputs = new Map<string, ClientOutput>();
  readonly #ready = new Map<number, () => void>();
  #last = STDIN_STREAM;
  #lost: Error | undefined;

  constructor(channel: FrameChannel) {
    this.#channel = channel;
  }

  get channel(): FrameChannel {
    return this.#channel;
  }

  /** Has the client do something. @throws what the client fails with, or that it is gone */
  async request(action: string, facts: object = {}): Promise<Readonly<Record<string, unknown>>> {
    if (this.#lost !== undefined) throw this.#lost;
    const id = this.nextNumber();
    const answer = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
    // It may fail before the frame has left.
    answer.catch(() => undefined);
    await this.#channel.json(fromServer.request, { id, action, ...facts });
    return answer;
  }

  nextNumber(): number {
    this.#last += 1;
    return this.#last;
  }

  /** Returns a stream of the client, which sends nothing before it is read. */
  input(stream: number): ClientInput {
    const input = new ClientInput(this.#channel, stream);
    this.#inputs.set(stream, input);
    input.once('close', () => this.#inputs.delete(stream));
    // Its reader may have ended first.
    input.on('error', () => undefined);
    if (this.#lost !== undefined) input.destroy(this.#lost);
    return input;
  }

  /** Adds an output whose failures the client reports. */
  addOutput(name: OutputName, output: ClientOutput): void {
    this.#outputs.set(name, output);
  }

  /** Resolves when the client is ready for the bytes of `stream`. */
  whenReady(stream: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ready.set(stream, resolve);
    });
  }

  /** Takes a frame; returns it when it is not for a stream, an output or a request. @throws {FrameError} */
  receive(frame: Frame): Frame | undefined {
    if (frame.kind === fromClient.data) this.#receiveData(frame);
    else if (frame.kind === fromClient.end) this.#endInput(objectOf(frame));
    else if (frame.kind === fromClient.reply) this.#receiveReply(objectOf(frame));
    else if (frame.kind === fromClient.ready) this.#ready.get(numberIn(objectOf(frame), 'stream'))?.();
    else if (frame.kind === fromClient.outputFailed) this.#failOutput(objectOf(frame));
    else return frame;
    return undefined;
  }

  /** The client is gone: nothing that it was asked for will come. */
  lose(error: Error): void {
    this.#lost ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    for (const input of this.#inputs.values()) input.destroy(error);
  }

  #receiveData(frame: Frame): void {
    const { stream, bytes } = streamData(frame);
    // The client may send before it knows that nothing more is needed.
    this.#inputs.get(stream)?.receive(bytes);
  }

  #endInput(end: Readonly<Record<string, unknown>>): void {
    const input = this.#inputs.get(numberIn(end, 'stream'));
    if (end['error'] === undefined) input?.push(null);
    else input?.destroy(fromWire(end['error']));
  }

  #receiveReply(reply: Readonly<Record<string, unknown>>): void {
    const id = numberIn(reply, 'id');
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (reply['error'] === undefined) pending?.resolve(reply);
    else pending?.reject(fromWire(reply['error']));
  }

  #failOutput(failure: Readonly<Record<string, unknown>>): void {
    this.#outputs.get(String(failure['output']))?.destroy(fromWire(failure['error']));
  }
}

/** Returns the number in a field of a frame. @throws {FrameError} */
export function numberIn(object: Readonly<Record<string, unknown>>, field: string): number {
  const value = object[field];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new FrameError(`a frame has no number ${field}`);
}

/** A stream of the client: its standard input, or a file. Buffers at most COMMAND_WINDOW_BYTES. */
export class ClientInput extends Readable {
  readonly #channel: FrameChannel;
  readonly #stream: number;
  /** Bytes that the client may still send. */
  #credit = 0;

  constructor(channel: FrameChannel, stream: number) {
    super({ highWaterMark: COMMAND_WINDOW_BYTES });
    this.#channel = channel;
    this.#stream = stream;
  }

  override _read(): void {
    const room = COMMAND_WINDOW_BYTES - this.#credit - this.readableLength;
    if (room <= 0 || (this.#credit > 0 && room < COMMAND_WINDOW_BYTES / 4)) return;
    this.#credit += room;
    void this.#channel.json(fromServer.pull, { stream: this.#stream, bytes: room });
  }

  /** @throws {FrameError} for more than was asked for */
  receive(bytes: Uint8Array): void {
    if (bytes.length > this.#credit) throw new FrameError('a stream has more bytes than were asked for');
    this.#credit -= bytes.length;
    this.push(bytes);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.readableEnded) void this.#channel.json(fromServer.cancel, { stream: this.#stream });
    done(error);
  }
}

/** What the client says of an output when it starts. */
export interface OutputFacts {
  readonly isTTY: boolean;
  readonly columns: number;
}

/** An output of the client. An empty write, as `flush` does, waits until the client has written all. */
export class ClientOutput extends Writable implements PagerStream {
  readonly isTTY: boolean;
  readonly columns: number;
  readonly #link: ClientLink;
  readonly #name: OutputName;
  #isUsed = false;
  #exitCode: number | null | undefined;

  constructor(link: ClientLink, name: OutputName, { isTTY, columns }: OutputFacts) {
    super({ decodeStrings: true });
    this.isTTY = isTTY;
    this.columns = columns;
    this.#link = link;
    this.#name = name;
    link.addOutput(name, this);
    // A command that no longer writes has no listener.
    this.on('error', () => undefined);
  }

  get exitCode(): number | null | undefined {
    return this.#exitCode;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send(chunk).then(() => done(), done);
  }

  /** Ends a pager, once there was something for it to show. */
  async leave(): Promise<void> {
    if (!this.#isUsed) return;
    const { exitCode } = await this.#link.request('leavePager').catch(() => ({ exitCode: null }));
    this.#exitCode = typeof exitCode === 'number' ? exitCode : null;
  }

  async #send(chunk: Buffer): Promise<void> {
    const { channel } = this.#link;
    if (chunk.length === 0) {
      // A pager that is not started needs none.
      const isStarted = this.#name !== 'pager' || this.#isUsed;
      // A failed output is destroyed; without a client nothing is left to wait for.
      if (isStarted) await this.#link.request('flush', { output: this.#name }).catch(() => undefined);
      // A failure that came before the answer is an event by now.
      await nextTurn();
      return;
    }
    this.#isUsed = true;
    for (let at = 0; at < chunk.length; at += COMMAND_CHUNK_BYTES) {
      // The failure of a command is reported to nobody then, which is no other failure.
      if (!channel.isOpen && this.#name === 'stderr') return;
      if (!channel.isOpen) throw Object.assign(new Error('the client is gone'), { code: 'EPIPE' });
      await channel.bytes(fromServer[this.#name], chunk.subarray(at, at + COMMAND_CHUNK_BYTES));
    }
  }
}

/** Sends the bytes of the file that the client writes; the frame's room is the bound of memory. */
export async function sendFile(channel: FrameChannel, stream: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += COMMAND_CHUNK_BYTES) {
    await channel.bytes(fromServer.data, streamNumber(stream), bytes.subarray(at, at + COMMAND_CHUNK_BYTES));
  }
}
