import { createHmac } from 'node:crypto';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as SecureAgent, request as httpsRequest } from 'node:https';
import { MAX_WEBHOOK_ANSWER_BYTES, MAX_WEBHOOK_WAIT_MS } from '../../limits.js';
import { retryAfterOf } from '../../model/http.js';

interface TargetRequest {
  readonly method: 'POST' | 'OPTIONS';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What a target answered. */
interface TargetAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
}

/** One kept-alive connection to a target. Follows no redirects. */
export class TargetConnection {
  readonly #url: URL;
  readonly #agent: Agent;

  constructor(url: URL) {
    this.#url = url;
    const options = { keepAlive: true, maxSockets: 1 };
    this.#agent = url.protocol === 'https:' ? new SecureAgent(options) : new Agent(options);
  }

  /** Resolves with the answer once its body ended or was cut; rejects on a timeout. */
  async send({ method, headers, body, timeoutMs, signal }: TargetRequest): Promise<TargetAnswer> {
    const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    const deadline = AbortSignal.timeout(timeoutMs);
    return new Promise((resolve, reject) => {
      const request = send(this.#url, {
        method,
        agent: this.#agent,
        headers: body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        signal: AbortSignal.any([signal, deadline]),
      });
      request.on('error', (error) => {
        reject(deadline.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error);
      });
      request.on('response', (response) => {
        const answer = { status: response.statusCode ?? 0, headers: response.headers };
        response.on('error', () => undefined);
        // An answer that ends late was given anyway.
        response.on('close', () => resolve(answer));
        discard(response);
      });
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function discard(response: IncomingMessage): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_WEBHOOK_ANSWER_BYTES) response.destroy();
  });
}

/** Returns the time that a header `Retry-After` asks for, at most MAX_WEBHOOK_WAIT_MS; 0 without one. */
export function retryAfterMs(value: string | undefined, nowMs: number): number {
  return Math.min(MAX_WEBHOOK_WAIT_MS, retryAfterOf(value, nowMs) ?? 0);
}

interface SignedMessage {
  /** The same for each attempt, without a full stop. */
  readonly id: string;
  /** Seconds since the epoch, of this attempt. */
  readonly timestamp: number;
  readonly body: string;
}

/**
 * Returns the headers of a signed message (Standard Webhooks 1.0.0, symmetric signatures): a
 * signature by each secret, separated by spaces; no `webhook-signature` without a secret.
 */
export function signedHeaders(
  { id, timestamp, body }: SignedMessage,
  secrets: readonly Uint8Array[],
): Record<string, string> {
  const signatures = secrets.map((secret) => {
    const code = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
    return `v1,${code}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    ...(signatures.length === 0 ? {} : { 'webhook-signature': signatures.join(' ') }),
  };
}
