import { type Context, Hono } from 'hono';
import { StoreError } from '../../errors.js';
import {
  MAX_CONSUMER_BATCH_EVENTS,
  MAX_CONSUMER_NAME_LENGTH,
  MAX_CONSUMER_WAIT_S,
  MAX_FEED_BODY_BYTES,
} from '../../limits.js';
import { readBounded } from '../../model/bytes.js';
import type { ConsumerState } from '../../store/consumers/consumer.js';
import { bodyOf, requireAction, type ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import type { Service } from '../service.js';
import { ConsumerDesk } from './consumer-desk.js';
import { EventFeed, feedResponse, outgoingOf } from './event-feed.js';
import {
  checkContinued,
  choice,
  count,
  dataOf,
  eventAnswer,
  type QueryValues,
  requestInvalid,
  seqAfter,
  single,
} from './feed-query.js';
import { FeedFormats, jsonOf } from './feed-format.js';

type Exchange = Context<ServerEnv>;

/** The consumers over HTTP: `/consumers`. */
function consumerRoutes(
  service: Service,
  { feed, formats, storeId }: { readonly feed: EventFeed; readonly formats: FeedFormats; readonly storeId: string },
): Hono<ServerEnv> {
  const { store } = service;
  const routes = new Hono<ServerEnv>();
  const desk = new ConsumerDesk(store);

  routes.use(async (_, next) => {
    if (service.past !== undefined) {
      throw new StoreError('STORE_READ_ONLY', 'this server shows the past: consumers are of the present');
    }
    await next();
  });

  routes.get('/', async (c) => {
    requireAction(c, service, 'read');
    const states = await store.consumers();
    return c.json({ head: store.log.head.seq, consumers: states.map((state) => stateJSON(desk, service, state)) });
  });

  routes.get('/:name', async (c) => {
    requireAction(c, service, 'read');
    return c.json(stateJSON(desk, service, await desk.state(c.req.param('name'))));
  });

  routes.put('/:name', async (c) => {
    requireAction(c, service, 'admin');
    const name = c.req.param('name');
    const body = await jsonBody(c, ['from', 'filter']);
    const { from = 1, filter = {} } = body;
    if (!isObject(filter)) throw requestInvalid('filter must be an object');
    const first = from === 'new' ? store.log.head.seq + 1 : seqField({ from }, 'from');
    const isNew = await desk.create(name, { from: first, filter });
    return c.json(stateJSON(desk, service, await desk.state(name)), isNew ? 201 : 200);
  });

  routes.delete('/:name', async (c) => {
    requireAction(c, service, 'admin');
    await desk.remove(c.req.param('name'));
    return c.body(null, 204);
  });

  routes.put('/:name/position', async (c) => {
    requireAction(c, service, 'admin');
    const name = c.req.param('name');
    const position = seqField(await jsonBody(c, ['position']), 'position');
    await desk.reset(name, position);
    return c.json({ name, position });
  });

  routes.post('/:name/ack', async (c) => {
    requireOwner(c, service);
    const name = c.req.param('name');
    const release = desk.leases.take(name, holderOf(c.req.queries()));
    try {
      const seq = seqField(await jsonBody(c, ['seq']), 'seq');
      return c.json({ name, position: await desk.acknowledge(name, seq) });
    } finally {
      release();
    }
  });

  routes.get('/:name/events', (c) =>
    isStream(c) ? eventStream(c, service, { feed, formats, desk }) : batch(c, service, { desk, storeId }),
  );

  return routes;
}

/** Anyone who may read may read `/events`; who uses a consumer moves what others see, and must be known. */
function requireOwner(c: Exchange, service: Service): void {
  requireAction(c, service, c.get('caller').grant.isLoggedIn ? 'read' : 'admin');
}

function isStream(c: Exchange): boolean {
  const format = choice(c.req.queries(), 'format', ['sse', 'json']);
  return (format ?? (c.req.header('accept')?.includes('text/event-stream') === true ? 'sse' : 'json')) === 'sse';
}

async function eventStream(
  c: Exchange,
  service: Service,
  { feed, formats, desk }: { readonly feed: EventFeed; readonly formats: FeedFormats; readonly desk: ConsumerDesk },
): Promise<Response> {
  requireOwner(c, service);
  const query = c.req.queries();
  checkNames(query, ['format', 'data', 'holder']);
  const name = c.req.param('name') as string;
  const { position, filter, filterKey } = await desk.known(name);
  const { store } = service;
  const received = seqAfter(c.req.header('last-event-id')) ?? 0;
  checkContinued(received, store.log.head.seq);
  const format = formats.get('sse', dataOf(query));
  const start = Math.max(position, received - 1);
  const answer = { format, filter, filterKey, position: start, to: undefined, limit: Number.POSITIVE_INFINITY };
  return feedResponse(c, feed, answer, desk.leases.take(name, holderOf(query)));
}

async function batch(
  c: Exchange,
  service: Service,
  { desk, storeId }: { readonly desk: ConsumerDesk; readonly storeId: string },
): Promise<Response> {
  requireOwner(c, service);
  const query = c.req.queries();
  checkNames(query, ['format', 'data', 'holder', 'limit', 'wait']);
  const limit = count(query, 'limit', { min: 1, max: MAX_CONSUMER_BATCH_EVENTS }) ?? 100;
  const waitMs = 1_000 * (count(query, 'wait', { min: 0, max: MAX_CONSUMER_WAIT_S }) ?? 0);
  const json = jsonOf(dataOf(query), storeId);
  const name = c.req.param('name') as string;
  const release = desk.leases.take(name, holderOf(query));
  const gone = new AbortController();
  const outgoing = outgoingOf(c);
  // A client that left before closes no second time.
  if (outgoing?.destroyed === true) gone.abort();
  outgoing?.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, service.signal]);
  try {
    const encode = (event: Parameters<typeof json>[0]): string => JSON.stringify(json(event));
    const { events, ...rest } = await desk.batch(name, { limit, waitMs, signal, encode });
    const text = `${JSON.stringify({ name, ...rest }).slice(0, -1)},"events":[${events.join(',')}]}`;
    return c.body(text, 200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  } finally {
    release();
  }
}

function checkNames(query: QueryValues, known: readonly string[]): void {
  const unknown = Object.keys(query).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw requestInvalid(`unknown parameter ${JSON.stringify(unknown.slice(0, 100))}; there are ${known.join(', ')}`);
}

function holderOf(query: QueryValues): string | undefined {
  const holder = single(query, 'holder');
  if (holder === undefined || (holder !== '' && holder.length <= MAX_CONSUMER_NAME_LENGTH)) return holder;
  throw requestInvalid(`holder must have 1 to ${MAX_CONSUMER_NAME_LENGTH} characters`);
}

function stateJSON(desk: ConsumerDesk, { webhooks }: Service, state: ConsumerState): object {
  const { name, position, behind, atLeast, filter, updatedAt, held } = state;
  return {
    name,
    position,
    behind,
    atLeast: atLeast ?? false,
    filter: filter ?? {},
    updatedAt: updatedAt === undefined ? null : new Date(updatedAt).toISOString(),
    held,
    holder: desk.leases.holder(name) ?? null,
    webhook: webhooks.state(name) ?? null,
  };
}

/**
 * Reads a request's JSON object, empty for no body, and refuses fields that it may not have.
 * @throws {HttpFailure} REQUEST_INVALID
 */
async function jsonBody(c: Context<ServerEnv>, fields: readonly string[]): Promise<Record<string, unknown>> {
  const bytes = await readBounded(bodyOf(c), MAX_FEED_BODY_BYTES);
  if (bytes === undefined) {
    throw new HttpFailure(413, 'REQUEST_INVALID', `the body has more than ${MAX_FEED_BODY_BYTES} bytes`);
  }
  if (bytes.length === 0) return {};
  const body = parsed(Buffer.from(bytes).toString('utf8'));
  const unknown = Object.keys(body).find((name) => !fields.includes(name));
  if (unknown === undefined) return body;
  throw requestInvalid(`unknown field ${JSON.stringify(unknown.slice(0, 100))}; there are ${fields.join(', ')}`);
}

function parsed(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw requestInvalid('the body is not JSON');
  }
  if (isObject(value)) return value;
  throw requestInvalid('the body must be a JSON object');
}

/** Whether a value of JSON is an object. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns a field that is a seq. @throws {HttpFailure} REQUEST_INVALID */
function seqField(body: Readonly<Record<string, unknown>>, name: string): number {
  const value = body[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw requestInvalid(`${name} must be a whole number from 0 up`);
}

/** The feed: `/events`, `/consumers`. */
export function feedRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const feed = new EventFeed(service);
  service.metrics.gauge('imagelog_followers', 'Clients that follow the log.', () => feed.size);
  const { storeId } = service.store.stats();
  const formats = new FeedFormats(storeId);
  routes.get('/events', async (c) => {
    requireAction(c, service, 'read');
    const { store, past } = service;
    const head = (await past) ?? store.log.head.seq;
    const request = {
      query: c.req.queries(),
      accept: c.req.header('accept'),
      lastEventId: c.req.header('last-event-id'),
    };
    const answer = eventAnswer(request, { head, isPast: past !== undefined, formats });
    return answer === undefined ? c.body(null, 204) : feedResponse(c, feed, answer);
  });
  routes.route('/consumers', consumerRoutes(service, { feed, formats, storeId }));
  return routes;
}
