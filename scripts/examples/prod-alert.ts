import { openStore, type StoredEvent } from '../../src/index.js';

/*
 * Prints an alert, a line of JSON, for each change of a `:prod` tag since the last run:
 *
 *     node dist/scripts/examples/prod-alert.js [DIRECTORY]
 *
 * It is a consumer, because no alert may be lost: `log.events$` and `log.follow()` lose their
 * position when the process ends; a consumer's is in the store. Events are acknowledged only after
 * the alert went out. A crash in between sends it again with the same `key`, so receivers can
 * drop the duplicate.
 */

/** A tag change. `from` is absent for a new tag, `to` for a removed one. */
interface Alert {
  readonly key: string;
  readonly at: string;
  readonly reference: string;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly by: string;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
}

/** Returns the alert for a change of a `:prod` tag. Its key is unique across all stores. */
export function alertFor(event: StoredEvent, storeId: string): Alert | undefined {
  if (event.type !== 'ReferenceSet' && event.type !== 'ReferenceRemoved') return undefined;
  if (!event.reference.endsWith(':prod')) return undefined;
  const { seq, time, reference, image, actor, reason, requestId } = event;
  const change = event.type === 'ReferenceSet' ? { from: event.previous, to: image } : { from: image };
  return {
    key: `${storeId}/${seq}`,
    at: new Date(time).toISOString(),
    reference,
    ...change,
    by: actor,
    reason,
    requestId,
  };
}

/** Sends an alert to a chat, pager or queue; resolves once it is sent. */
async function send(alert: Alert): Promise<void> {
  console.log(JSON.stringify(alert));
}

async function main(directory = './data'): Promise<void> {
  await using store = await openStore(directory, { create: false });
  await using consumer = store.consumer('prod-alert', { filter: { type: ['ReferenceSet', 'ReferenceRemoved'] } });
  const { storeId } = store.stats();
  // Ends the loop at the end of the log. A service omits this and keeps receiving events.
  const events = consumer[Symbol.asyncIterator]();
  void consumer.caughtUp().then(
    () => events.return?.(),
    // The loop has already ended and throws the error.
    () => undefined,
  );
  for await (const event of consumer) {
    const alert = alertFor(event, storeId);
    if (alert !== undefined) await send(alert);
    await consumer.ack(event);
  }
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2]);
