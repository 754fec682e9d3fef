import { validateHeaderName, validateHeaderValue } from 'node:http';
import {
  MAX_WEBHOOK_SECRET_BYTES,
  MAX_WEBHOOK_WAIT_MS,
  MIN_WEBHOOK_SECRET_BYTES,
  WEBHOOK_TIMEOUT_MS,
} from '../../limits.js';
import { refuseUnknown, type OptionNames } from '../../model/option-names.js';
import { mustBeCount, mustBeObject, mustBeString } from '../../store/argument-types.js';
import { checkConsumerName } from '../../store/consumers/consumer.js';
import type { EventFilter } from '../../store/follow/event-filter.js';
import type { EventData } from './feed-format.js';

/** When a webhook no longer tries to deliver an event. */
export interface WebhookLimit {
  /** Attempts of this process, at least one; default any number. */
  readonly attempts?: number | undefined;
  /** Age of the event at a failed attempt; default any. */
  readonly ageMs?: number | undefined;
  /** Whether it continues with the next event, which loses this one to the target, or stops. Default `skip`. */
  readonly beyond?: 'skip' | 'stop' | undefined;
}

/** A target that events are sent to, in order, one at a time. */
export interface WebhookOptions {
  /** Its position is kept as that of the consumer `webhook.NAME`. */
  readonly name: string;
  /** http or https; redirects are failures. */
  readonly url: string;
  readonly filter?: EventFilter | undefined;
  /** First event for a target without a position; default the next one. */
  readonly from?: number | undefined;
  /** `whsec_` and 24 to 64 bytes in base64; several while one is replaced: each signs. Default no signature. */
  readonly secret?: string | readonly string[] | undefined;
  /** Default `cloudevent`. */
  readonly data?: EventData | undefined;
  /** Sent with every request, as `authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** For a whole attempt; default WEBHOOK_TIMEOUT_MS. */
  readonly timeoutMs?: number | undefined;
  /** Attempts are repeated after a random time of up to `baseMs`, then twice that, up to `capMs`; default 1 s, 5 minutes. */
  readonly retry?: { readonly baseMs?: number | undefined; readonly capMs?: number | undefined } | undefined;
  /** Default none: an event is tried until it is taken. */
  readonly limit?: WebhookLimit | undefined;
  /** Asks the target, as this origin, whether it wants events at all (CloudEvents webhook spec, "Abuse protection"). */
  readonly origin?: string | undefined;
}

const webhookNames: OptionNames<WebhookOptions> = {
  name: true,
  url: true,
  filter: true,
  from: true,
  secret: true,
  data: true,
  headers: true,
  timeoutMs: true,
  retry: true,
  limit: true,
  origin: true,
};

/** Checked options. */
export interface Target {
  readonly consumer: string;
  readonly url: URL;
  readonly filter: EventFilter | undefined;
  readonly from: number | undefined;
  readonly secrets: readonly Uint8Array[];
  readonly data: EventData;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly baseMs: number;
  readonly capMs: number;
  readonly limit: { readonly attempts: number; readonly ageMs: number; readonly beyond: 'skip' | 'stop' };
  readonly origin: string | undefined;
}

/** @throws {TypeError} for a wrong type or name; RangeError for a wrong value; StoreError CONSUMER_INVALID */
export function checkedWebhooks(webhooks: readonly WebhookOptions[]): readonly Target[] {
  if (!Array.isArray(webhooks)) throw new TypeError('webhooks must be an array');
  const targets = webhooks.map(checkedWebhook);
  const names = targets.map(({ consumer }) => consumer);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return targets;
  throw new RangeError(`two webhooks have the name ${twice.replace(/^webhook\./, '')}`);
}

function checkedWebhook(options: WebhookOptions): Target {
  mustBeObject('webhook', options);
  refuseUnknown(options, webhookNames, 'option of a webhook');
  const { name, url, filter, from, secret = [], data = 'cloudevent', headers = {}, retry = {}, origin } = options;
  mustBeString('name', name);
  const consumer = `webhook.${name}`;
  checkConsumerName(consumer);
  if (from !== undefined) mustBeCount('from', from);
  if (data !== 'cloudevent' && data !== 'event') throw new RangeError('data must be cloudevent or event');
  checkHeaders(headers);
  if (origin !== undefined) validateHeaderValue('webhook-request-origin', origin);
  const { baseMs = 1_000, capMs = 5 * 60_000 } = retry;
  const { attempts, ageMs, beyond = 'skip' } = options.limit ?? {};
  if (beyond !== 'skip' && beyond !== 'stop') throw new RangeError('limit.beyond must be skip or stop');
  return {
    consumer,
    url: targetUrl(url),
    filter,
    from,
    secrets: [secret].flat().map(secretBytes),
    data,
    headers,
    timeoutMs: milliseconds('timeoutMs', options.timeoutMs ?? WEBHOOK_TIMEOUT_MS),
    baseMs: milliseconds('retry.baseMs', baseMs),
    capMs: milliseconds('retry.capMs', capMs),
    limit: {
      attempts: attempts === undefined ? Number.POSITIVE_INFINITY : positive('limit.attempts', attempts),
      ageMs: ageMs === undefined ? Number.POSITIVE_INFINITY : positive('limit.ageMs', ageMs),
      beyond,
    },
    origin,
  };
}

function targetUrl(text: string): URL {
  mustBeString('url', text);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new RangeError('url must be an http or https URL');
}

function secretBytes(secret: string): Uint8Array {
  mustBeString('secret', secret);
  const base64 = /^whsec_((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/.exec(secret)?.[1];
  const bytes = Buffer.from(base64 ?? '', 'base64');
  // The secret itself is in no message.
  if (bytes.length >= MIN_WEBHOOK_SECRET_BYTES && bytes.length <= MAX_WEBHOOK_SECRET_BYTES) return bytes;
  throw new RangeError(
    `secret must be whsec_ and ${MIN_WEBHOOK_SECRET_BYTES} to ${MAX_WEBHOOK_SECRET_BYTES} bytes in base64`,
  );
}

/** Headers that say what is sent, or how. */
const ownHeader = /^(?:content-|webhook-|host$|connection$|transfer-encoding$|expect$|te$|trailer$|upgrade$)/i;

function checkHeaders(headers: Readonly<Record<string, string>>): void {
  mustBeObject('headers', headers);
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    mustBeString(`the header ${name}`, value);
    validateHeaderValue(name, value);
    if (ownHeader.test(name)) throw new RangeError(`headers of a webhook may not have ${name}`);
  }
}

function milliseconds(name: string, value: number): number {
  positive(name, value);
  if (value <= MAX_WEBHOOK_WAIT_MS) return value;
  throw new RangeError(`${name} must be at most ${MAX_WEBHOOK_WAIT_MS}: ${value}`);
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RangeError(`${name} must be a whole number from 1 up: ${value}`);
}
