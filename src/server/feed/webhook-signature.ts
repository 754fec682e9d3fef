import { createHmac } from 'node:crypto';

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
