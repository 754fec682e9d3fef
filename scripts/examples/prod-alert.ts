import { openStore, type StoredEvent } from '../../src/index.js';

/*
 * Prints an alert, a line of JSON, for each change of a tag `:prod` since the last run:
 *
 *     node dist/scripts/examples/prod-alert.js [DIRECTORY]
 *
 * It is a consumer, because no alert may be lost: `log.events$` and `log.follow()` forget where they were when the process ends, a
 * consumer has its position in the store. An event counts as handled once it is acknowledged, and that is done after the alert
 * went out. A crash in between sends the alert again: `key` is the same then, and whoever receives it drops the second.
 */

/** What happened to a tag. `from` is absent when it is new, `to` when it was removed. */
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

/** Returns the alert for an event, if it changed a tag `:prod`. The key is that of this event among those of all stores. */
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

/** Where an alert goes: to a chat, a pager, a queue. It resolves when the alert is out. */
async function send(alert: Alert): Promise<void> {
  console.log(JSON.stringify(alert));
}

async function main(directory = './data'): Promise<void> {
  await using store = await openStore(directory, { create: false });
  await using consumer = store.consumer('prod-alert', { filter: { type: ['ReferenceSet', 'ReferenceRemoved'] } });
  const { storeId } = store.stats();
  // Ends the loop when all that is in the log was given. A service leaves this out, and goes on with each event that comes.
  const events = consumer[Symbol.asyncIterator]();
  void consumer.caughtUp().then(
    () => events.return?.(),
    // The loop ended before, and throws why.
    () => undefined,
  );
  for await (const event of consumer) {
    const alert = alertFor(event, storeId);
    if (alert !== undefined) await send(alert);
    await consumer.ack(event);
  }
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2]);
