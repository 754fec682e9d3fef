import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

/*
 * Takes the events that `imagelog serve --webhooks FILE` sends, and prints each as a line of JSON:
 *
 *     HOOK_SECRET=whsec_… node dist/scripts/examples/webhook-receiver.js [PORT]
 *
 * An answer other than 2xx brings the event again, so answer 204 only when the work is done. A lost answer
 * brings it again too, with the same `webhook-id`.
 */

/** Seconds that the clocks of both sides may differ by, and for which a copied request would be taken. */
const TOLERANCE_S = 300;

/** Whether one of the signatures is by the secret (Standard Webhooks). */
export function isSigned({ headers }: IncomingMessage, body: string, secret: string): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures } = headers;
  if (Math.abs(Date.now() / 1_000 - Number(time)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = Buffer.from(`v1,${createHmac('sha256', key).update(`${id}.${time}.${body}`).digest('base64')}`);
  return String(signatures)
    .split(' ')
    .some((each) => each.length === expected.length && timingSafeEqual(Buffer.from(each), expected));
}

/** Returns a server that gives each event to `take`, again if that throws. */
export function webhookReceiver(secret: string, take: (event: unknown) => Promise<void>): Server {
  // A service keeps the last sequence in its own database: events come in order.
  let last = '';
  return createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      if (!isSigned(request, body, secret)) return response.writeHead(401).end();
      const event = JSON.parse(body) as { readonly sequence: string };
      if (event.sequence > last) {
        await take(event);
        last = event.sequence;
      }
      return response.writeHead(204).end();
    })().catch(() => response.writeHead(500).end());
  });
}

async function main(port = '8080'): Promise<void> {
  const secret = process.env['HOOK_SECRET'];
  if (secret === undefined) throw new Error('HOOK_SECRET is the secret of the webhook');
  webhookReceiver(secret, async (event) => console.log(JSON.stringify(event))).listen(Number(port), '127.0.0.1');
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2]);
