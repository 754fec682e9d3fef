import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { MAX_PENDING_LOG_BYTES } from '../../limits.js';
import { ioFailure, systemCode } from '../../store/files/files.js';
import type { Refused } from './connections.js';

/** What became of a request. Holds no credentials. */
export interface RequestReport {
  /** Milliseconds since the epoch when it came. */
  readonly time: number;
  /** Address of the client, before trusted proxies; empty for a unix socket, undefined for a call of `fetch`. */
  readonly address: string | undefined;
  /** Undefined for one that nobody vouches for. */
  readonly actor: string | undefined;
  readonly method: string;
  /** Path and query; values of the query that no route has are left out. */
  readonly path: string;
  /** Pattern of the route, such as `/health`. */
  readonly route: string;
  /** Of the answer; 0 when the client left before it. */
  readonly status: number;
  /** Bytes on the connection: headers and body. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Whether the answer was cut: the client left, was too slow, or a stream failed. */
  readonly isCut: boolean;
  readonly agent: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  /** Code of the error that was answered. */
  readonly code: string | undefined;
  /** Why it was refused, and the name that was given with a wrong password. */
  readonly reason: string | undefined;
  readonly user: string | undefined;
}

/** Names of a query whose values are no secrets: those of the routes. */
const SHOWN: ReadonlySet<string> = new Set([
  'n',
  'last',
  'digest',
  'digest-algorithm',
  'mount',
  'from',
  'tag',
  'artifactType',
  'after',
  'to',
  'type',
  'image',
  'reference',
  'chainId',
  'actor',
  'requestId',
  'reasonIncludes',
  'limit',
  'follow',
  'format',
  'data',
  'holder',
  'wait',
  'until',
  'since',
  'seq',
  'size',
  'all',
  'filters',
  'force',
  'fromImage',
  'fromSrc',
  'names',
  'noprune',
  'platform',
  'quiet',
  'repo',
]);

/** Returns path and query of a URL for a log; values of other names than those of routes are `…`. */
export function loggedPath(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const whole = start < 0 ? '/' : url.slice(start);
  const at = whole.indexOf('?');
  if (at < 0) return whole;
  const parts = whole
    .slice(at + 1)
    .split('&')
    .map(shown);
  return `${whole.slice(0, at)}?${parts.join('&')}`;
}

function shown(part: string): string {
  const [name = '', value] = part.split('=', 2);
  // A part without a value may be anything, also a secret.
  if (value === undefined) return SHOWN.has(name) ? name : '…';
  return SHOWN.has(name) ? part : `${name}=…`;
}

/** Where lines of a log go. */
interface LogTarget {
  append(text: string): Promise<void>;
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A log of requests: a line of JSON for each, refused ones included. A slow disk holds up no
 * request: beyond a limit lines are dropped, and the log says how many.
 */
export class AccessLog {
  readonly #target: LogTarget;
  readonly #onNotice: (notice: string) => void;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #isTorn = false;
  #work: Promise<void> = Promise.resolve();
  #isWorking = false;

  constructor(target: LogTarget, onNotice: (notice: string) => void) {
    this.#target = target;
    this.#onNotice = onNotice;
  }

  request(report: RequestReport): void {
    this.#add({
      time: new Date(report.time).toISOString(),
      address: report.address,
      actor: report.actor,
      method: report.method,
      path: report.path,
      status: report.status,
      bytes: report.bytesOut,
      bytesIn: report.bytesIn,
      ms: Math.round(report.durationMs * 1_000) / 1_000,
      agent: report.agent,
      requestId: report.requestId,
      traceparent: report.traceparent,
      code: report.code,
      reason: report.reason,
      user: report.user,
      cut: report.isCut || undefined,
    });
  }

  refused({ address, status, code }: Refused, time: number): void {
    this.#add({ time: new Date(time).toISOString(), address, status, code });
  }

  /** Opens the file again, once what waits is written: it was moved. */
  reopen(): Promise<void> {
    return this.#then(async () => {
      try {
        await this.#target.reopen();
      } catch (error) {
        this.#onNotice(`cannot open the access log again: ${systemCode(error)}; it continues in the old file`);
      }
    });
  }

  async close(): Promise<void> {
    await this.#then(async () => this.#write());
    await this.#target.close();
  }

  #add(line: object): void {
    const text = `${JSON.stringify(line)}\n`;
    if (this.#waitingBytes + text.length > MAX_PENDING_LOG_BYTES) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(text);
    this.#waitingBytes += text.length;
    if (this.#isWorking) return;
    this.#isWorking = true;
    void this.#then(async () => {
      await this.#write();
      this.#isWorking = false;
    });
  }

  #then(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work);
    return this.#work;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 || this.#dropped > 0) {
      const lines = this.#waiting;
      const dropped = this.#dropped;
      this.#waiting = [];
      this.#waitingBytes = 0;
      this.#dropped = 0;
      const lost = dropped === 0 ? '' : `${JSON.stringify({ time: new Date().toISOString(), dropped })}\n`;
      try {
        await this.#target.append(`${this.#isTorn ? '\n' : ''}${lines.join('')}${lost}`);
        this.#isTorn = false;
      } catch (error) {
        if (!this.#isTorn) this.#onNotice(`cannot write the access log: ${systemCode(error)}; lines are lost`);
        this.#isTorn = true;
        this.#dropped += lines.length + dropped;
        return;
      }
    }
  }
}

/** Opens a log in the file at `path`, which others may move away. @throws {StoreError} IO_FAILED and the like */
export async function openLogFile(path: string): Promise<LogTarget> {
  const openFile = (): Promise<FileHandle> => open(path, 'a', 0o640);
  let file = await openFile().catch((error: unknown) => {
    throw ioFailure(`open the access log ${path}`, error);
  });
  return {
    append: (text) => file.appendFile(text),
    async reopen() {
      const opened = await openFile();
      const before = file;
      file = opened;
      await before.close();
    },
    close: () => file.close(),
  };
}

/** A log into a stream of the process, which stays open. */
export function streamLog(stream: Writable): LogTarget {
  return {
    append: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => (error ? reject(error) : resolve()));
      }),
    reopen: async () => undefined,
    close: async () => undefined,
  };
}
