import { addAbortSignal } from 'node:stream';
import { isDigest } from '../../model/digest.js';
import type { PulledContent } from '../../registry-client/pull.js';
import { FrameError } from '../../server/command/frames.js';
import type { PullRequest } from '../command-client.js';
import { type ClientLink, numberIn } from './client-link.js';

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
    if (typeof reference !== 'string' || typeof digest !== 'string' || !isDigest(digest))
      throw new FrameError('a pull has no reference or digest');
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
