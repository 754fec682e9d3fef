import { type FileHandle, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { PassThrough, type Readable } from 'node:stream';
import { loadCode, StoreError } from '../../errors.js';
import { COMMAND_CHUNK_BYTES } from '../../limits.js';
import { drained, type FrameChannel, fromClient, STDIN_STREAM, streamNumber } from '../../server/command/frames.js';
import { localFiles } from '../command-files.js';
import type { CliIo } from '../output.js';
import { fromWire, toWire } from '../wire-errors.js';

/** Options whose value a server does not read: the name of another thing, or of a file with a secret. */
const NOT_READ: ReadonlySet<string> = new Set(['--key', '--output', '-o', '--store', '--host']);
const WRITTEN: readonly string[] = ['--output', '-o'];

/**
 * Reads and writes files of this process for the server that runs its command: only those that the
 * command line names: a server may ask for any.
 */
export class OwnFiles {
  readonly #argv: readonly string[];
  readonly #io: CliIo;
  readonly #channel: FrameChannel;
  readonly #sources = new Map<number, OwnSource>();
  readonly #targets = new Map<number, { readonly bytes: PassThrough; readonly stop: AbortController }>();

  readonly #pulls: { close(): void }[] = [];

  constructor(argv: readonly string[], io: CliIo, channel: FrameChannel) {
    this.#argv = argv;
    this.#io = io;
    this.#channel = channel;
  }

  /** Does what the server asks for; resolves with the reply. @throws what the file's own code throws */
  async perform(request: Readonly<Record<string, unknown>>): Promise<object> {
    const { action, path, limitBytes, stream } = request;
    if (action === 'pull') return this.#pull(request);
    const name = String(path);
    if (action === 'write') {
      this.#mustBeNamed(name, WRITTEN);
      await this.#write(name, Number(stream));
      return {};
    }
    if (action === 'verifierKey') {
      this.#mustBeNamed(name, ['--key']);
      return { key: await localFiles.verifierKey(name) };
    }
    this.#mustBeNamed(name);
    if (action === 'mustBeThere') {
      await localFiles.mustBeThere(name);
      return {};
    }
    if (action === 'read') {
      return { bytes: Buffer.from(await localFiles.read(name, Number(limitBytes))).toString('base64') };
    }
    if (action !== 'archive') throw new StoreError('INTERNAL', `the server asks for something unknown: ${action}`);
    const { archiveFileSource } = await loadCode('that loads', import('../../store/archives/load-archive.js'));
    const { bytes, total } = await archiveFileSource(name);
    this.#sources.set(Number(stream), new OwnSource(this.#channel, Number(stream), bytes));
    return { total };
  }

  /** The server takes `bytes` more of a stream. */
  grant(stream: number, bytes: number): void {
    let source = this.#sources.get(stream);
    if (source === undefined && stream === STDIN_STREAM) {
      source = new OwnSource(this.#channel, stream, this.#io.stdin);
      this.#sources.set(stream, source);
    }
    source?.grant(bytes);
  }

  /** The server needs no more of a stream, or aborts the writing of a file. */
  cancel(stream: number): void {
    this.#sources.get(stream)?.cancel();
    this.#targets.get(stream)?.stop.abort();
  }

  /** Takes bytes of the file that is written; resolves when there is room for more. */
  async receive(stream: number, bytes: Uint8Array): Promise<void> {
    const target = this.#targets.get(stream)?.bytes;
    if (target === undefined || target.destroyed || target.write(bytes)) return;
    await drained(target);
  }

  /** The file is complete, or `error` says why it will not be. */
  finish(stream: number, error: unknown): void {
    const target = this.#targets.get(stream)?.bytes;
    if (error === undefined) target?.end();
    else target?.destroy(fromWire(error));
  }

  /** The command has ended. */
  end(): void {
    for (const source of this.#sources.values()) source.cancel();
    for (const pull of this.#pulls) pull.close();
    for (const { stop, bytes } of this.#targets.values()) {
      stop.abort();
      bytes.destroy();
    }
  }

  /** Begins a pull as the command line says: credentials go to its registry alone, and only as typed. */
  async #pull({ name, platform, stream, ...asked }: Readonly<Record<string, unknown>>): Promise<object> {
    const [wanted, platforms] = [String(name), Array.isArray(platform) ? platform.map(String) : undefined];
    if (!this.#argv.includes('pull')) throw new StoreError('ACCESS_DENIED', 'the server asks for a pull');
    this.#mustBeNamed(wanted);
    const isTyped = (option: string): boolean => this.#argv.includes(option);
    const { Pull } = await loadCode('of registries', import('../../registry-client/pull.js'));
    const { reachOf, sessionOf } = await loadCode('of registries', import('../registry-access.js'));
    const pull = await Pull.begin(wanted, {
      ...sessionOf({ io: this.#io, signal: this.#io.signal }),
      ...reachOf({ plainHttp: isTyped('--plain-http'), insecure: isTyped('--insecure') }),
      platform: platforms,
      referrers: asked['referrers'] === true,
    });
    this.#pulls.push(pull);
    const { chunks, ...facts } = pull.content(tmpdir());
    this.#sources.set(Number(stream), new OwnSource(this.#channel, Number(stream), chunks));
    return facts;
  }

  async #write(path: string, stream: number): Promise<void> {
    const bytes = new PassThrough();
    bytes.on('error', () => undefined);
    const stop = new AbortController();
    this.#targets.set(stream, { bytes, stop });
    const begin = (): Readable => {
      void this.#channel.json(fromClient.ready, { stream });
      return bytes;
    };
    const signal = AbortSignal.any([this.#io.signal, stop.signal]);
    const writeTo = async (file: FileHandle): Promise<void> => {
      await writeFile(file, begin(), { signal });
      await file.sync();
    };
    try {
      await localFiles.write({ writeTo, stream: begin }, path, signal);
    } finally {
      bytes.destroy();
      this.#targets.delete(stream);
    }
  }

  /** A server that is not ours to trust could ask for any file. */
  #mustBeNamed(path: string, options?: readonly string[]): void {
    const isNamed = this.#argv.some((word, at) => {
      const before = this.#argv[at - 1] ?? '';
      const [flag = '', ...value] = word.split('=');
      const short = /^-[a-z]/.test(word) ? word.slice(0, 2) : undefined;
      const uses: readonly (readonly [option: string, value: string])[] = [
        [before, word],
        ...(word.startsWith('--') ? [[flag, value.join('=')] as const] : []),
        ...(short === undefined ? [] : [[short, word.slice(2)] as const]),
      ];
      return uses.some(([option, given]) => given === path && (options?.includes(option) ?? !NOT_READ.has(option)));
    });
    if (isNamed) return;
    throw new StoreError('ACCESS_DENIED', `the server asks for ${path}, which the command line does not name`, {
      data: { hint: 'find out who runs that server; nothing was sent' },
    });
  }
}

/** A stream of this process, sent as far as the server takes it. */
class OwnSource {
  readonly #channel: FrameChannel;
  readonly #stream: number;
  readonly #bytes: AsyncIterable<Uint8Array>;
  #credit = 0;
  #isStarted = false;
  #isCancelled = false;
  #onCredit: () => void = () => undefined;

  constructor(channel: FrameChannel, stream: number, bytes: AsyncIterable<Uint8Array>) {
    this.#channel = channel;
    this.#stream = stream;
    this.#bytes = bytes;
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.#onCredit();
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.#send();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#onCredit();
  }

  async #send(): Promise<void> {
    try {
      for await (const chunk of this.#bytes) {
        for (let at = 0; at < chunk.length; ) {
          if (this.#credit === 0 && !this.#isCancelled) await this.#moreCredit();
          if (this.#isCancelled) return;
          const length = Math.min(COMMAND_CHUNK_BYTES, this.#credit, chunk.length - at);
          this.#credit -= length;
          await this.#channel.bytes(fromClient.data, streamNumber(this.#stream), chunk.subarray(at, at + length));
          at += length;
        }
      }
      await this.#channel.json(fromClient.end, { stream: this.#stream });
    } catch (error) {
      await this.#channel.json(fromClient.end, { stream: this.#stream, error: toWire(error) });
    }
  }

  #moreCredit(): Promise<void> {
    return new Promise((resolve) => {
      this.#onCredit = resolve;
    });
  }
}
