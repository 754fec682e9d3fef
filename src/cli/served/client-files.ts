import { addAbortSignal } from 'node:stream';
import { FrameError, fromServer } from '../../server/command/frames.js';
import type { FileContent } from '../archive-target.js';
import type { CommandFiles, PullRequest } from '../command-files.js';
import { toWire } from '../wire-errors.js';
import { type ClientLink, numberIn, sendFile } from './client-link.js';
import { isDigest } from '../../model/digest.js';
import type { PulledContent } from '../../registry-client/pull.js';

/** Returns the files of a client, which reads and writes them itself: its rights are not the server's. */
export function clientFiles(link: ClientLink, signal: AbortSignal): CommandFiles {
  return {
    async read(path, limitBytes) {
      const { bytes } = await link.request('read', { path, limitBytes });
      return Buffer.from(String(bytes), 'base64');
    },
    async verifierKey(path) {
      const { key } = await link.request('verifierKey', { path });
      return String(key);
    },
    async mustBeThere(path) {
      await link.request('mustBeThere', { path });
    },
    archive(path) {
      let total: number | undefined;
      const onTotal = (size: unknown): void => {
        if (typeof size === 'number') total = size;
      };
      return { source: archiveBytes(link, path, signal, onTotal), total: () => total };
    },
    write: (content, path, signalOfWrite) => writeFile(link, content, path, signalOfWrite),
  };
}

async function* archiveBytes(
  link: ClientLink,
  path: string,
  signal: AbortSignal,
  onTotal: (size: unknown) => void,
): AsyncGenerator<Uint8Array> {
  const stream = link.nextNumber();
  // Before the request: the client may send the end at once.
  const input = addAbortSignal(signal, link.input(stream));
  try {
    const { total } = await link.request('archive', { path, stream });
    onTotal(total);
    yield* input as AsyncIterable<Uint8Array>;
  } finally {
    input.destroy();
  }
}

async function writeFile(link: ClientLink, content: FileContent, path: string, signal: AbortSignal): Promise<void> {
  const { channel } = link;
  const stream = link.nextNumber();
  const ready = link.whenReady(stream).then(() => true);
  let isOver = false;
  const over = link.request('write', { path, stream }).finally(() => {
    isOver = true;
  });
  // A pipe may have no reader; a client that is asked to stop replies.
  const stop = (): void => void channel.json(fromServer.cancel, { stream });
  signal.addEventListener('abort', stop);
  try {
    if (!(await Promise.race([ready, over.then(() => false)]))) return;
    for await (const chunk of content.stream() as AsyncIterable<Uint8Array | string>) {
      if (isOver) break;
      await sendFile(channel, stream, Buffer.from(chunk));
    }
    await channel.json(fromServer.end, { stream });
    await over;
  } catch (error) {
    // The client removes what it has, and then says so.
    if (!isOver) await channel.json(fromServer.end, { stream, error: toWire(error) });
    await over.catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Has a client pull: the registry sees its credentials and its address, not the server's. */
export async function clientPull(
  link: ClientLink,
  name: string,
  asked: PullRequest,
  signal: AbortSignal,
): Promise<PulledContent> {
  const stream = link.nextNumber();
  const chunks = addAbortSignal(signal, link.input(stream));
  try {
    const facts = await link.request('pull', { name, ...asked, stream });
    const { reference, digest, notices, leftOut } = facts;
    if (typeof reference !== 'string' || typeof digest !== 'string' || !isDigest(digest)) {
      throw new FrameError('a pull has no reference or digest');
    }
    const others = Object.entries(Object(leftOut) as Record<string, unknown>);
    return {
      reference,
      digest,
      size: numberIn(facts, 'size'),
      chunks,
      notices: Array.isArray(notices) ? notices.map(String) : [],
      leftOut: Object.fromEntries(others.map(([each, what]) => [each, String(what)])),
    };
  } catch (error) {
    chunks.destroy();
    throw error;
  }
}
