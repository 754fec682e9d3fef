import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import test from 'ava';
import { EventSource } from 'eventsource';
import { createParser } from 'eventsource-parser';
import { StoreError } from '../../../src/errors.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { failureOf, linesOf, seqs, serve, until, write } from './serving.js';
import { messagesOf, take } from '../../support/event-source.js';

/** Collects the seqs that a client is given, up to `last`. */
async function seqsOf(url: string, last: number): Promise<number[]> {
  const reader = messagesOf(await fetch(url));
  const got: number[] = [];
  while (got.at(-1) !== last) {
    const [message] = await take(reader, 1);
    if (message === undefined) break;
    if (message.event === undefined) got.push(Number(message.id));
  }
  await reader.cancel();
  return got;
}

test('clients that come while others write get each event once, in order', async (t) => {
  const store = await openTestStore(t);
  const source = await store.create(imageConfig('first'));
  await write(store, 49);
  const { url } = await serve(t, store);
  const last = 50 + 4 * 150 + 1;
  const clients: Promise<{ readonly from: number; readonly isPart: boolean; readonly got: number[] }>[] = [];
  const writers = ['a', 'b', 'c'].map((name) => write(store, 150, name));
  for (let at = 0; at < 150; at++) {
    await store.tag({ source, target: `shop/app:${at}` });
    if (at % 5 !== 0) continue;
    // Some begin with all, some with what is new, some in between; some want a part.
    const head = store.log.head.seq;
    const from = [1, head + 1, Math.ceil(head / 2)][at % 3] as number;
    const isPart = at % 10 === 0;
    const got = seqsOf(`${url}/events?format=sse&from=${from}${isPart ? '&reference=shop/*' : ''}`, last);
    clients.push(got.then((list) => ({ from, isPart, got: list })));
  }
  await Promise.all(writers);
  await store.tag({ source, target: 'shop/app:last' });
  t.is(store.log.head.seq, last);
  const tagged = (await eventsOf(store, { filter: { reference: 'shop/*' } })).map(({ seq }) => seq);
  for (const { from, isPart, got } of await Promise.all(clients)) {
    t.deepEqual(got, isPart ? tagged.filter((seq) => seq >= from) : seqs(from, last));
  }
});

test('EventSource gets each event once, through ends of the server while others write', async (t) => {
  const store = await openTestStore(t);
  await write(store, 10);
  let served = await serve(t, store);
  const { port } = served;
  const got: number[] = [];
  const marks: number[] = [];
  const source = new EventSource(`${served.url}/events?from=1`, {
    // Browsers wait as long as `retry` says.
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      const text = response.body?.pipeThrough(new TransformStream({ transform: quickRetry }));
      return new Response(text, { headers: response.headers });
    },
  });
  t.teardown(() => source.close());
  source.addEventListener('message', ({ lastEventId }) => got.push(Number(lastEventId)));
  source.addEventListener('caught-up', ({ lastEventId }) => marks.push(Number(lastEventId)));
  for (const round of [1, 2, 3]) {
    await until(() => got.at(-1) === store.log.head.seq);
    await write(store, 20, `live ${round} `);
    await served.close();
    await write(store, 20, `closed ${round} `);
    served = await serve(t, store, { port });
  }
  await until(() => got.at(-1) === store.log.head.seq);
  t.deepEqual(got, seqs(1, 130));
  t.is(marks[0], 10);
  t.is(marks.at(-1), 130);
});

function quickRetry(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): void {
  const text = Buffer.from(chunk).toString('utf8');
  controller.enqueue(Buffer.from(text.replace(/retry: \d+/, 'retry: 10')));
}

/** Opens a connection that asks for events and reads nothing yet. */
async function silentClient(port: number, query: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET /events?format=sse${query} HTTP/1.1\r\nhost: store\r\n\r\n`);
  return socket;
}

async function writeLarge(store: EventStore, count: number): Promise<void> {
  const id = await store.create(imageConfig('large'));
  const reason = 'x'.repeat(8_000);
  for (let at = 0; at < count; at += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, k) => store.tag({ source: id, target: `a:${at + k}` }, { reason })),
    );
  }
}

for (const query of ['', '&from=1', '&from=1&type=ReferenceSet']) {
  test(`a client that reads nothing costs no memory, holds up nobody, and misses nothing: ${query}`, async (t) => {
    const store = await openTestStore(t);
    const { url, sockets } = await serve(t, store);
    const request = get(`${url}/events?format=sse${query}`, { agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await writeLarge(store, 1_000);
    const quick = await seqsOf(`${url}/events?format=sse&from=1`, 1_001);
    t.is(quick.length, 1_001);
    for (const { writableLength } of sockets) t.true(writableLength < 512 * 1024, `${writableLength} bytes wait`);
    const got: number[] = [];
    const parser = createParser({ onEvent: ({ id, event }) => event === undefined && got.push(Number(id)) });
    response.setEncoding('utf8');
    response.on('data', (text: string) => parser.feed(text));
    await until(() => got.at(-1) === 1_001);
    t.deepEqual(got, seqs(query.includes('type') ? 2 : 1, 1_001));
    response.destroy();
    await until(() => sockets.size === 0);
  });
}

test('a client that half closes its connection, or is gone, leaves nothing behind', async (t) => {
  const store = await openTestStore(t);
  await write(store, 5);
  const { port, sockets } = await serve(t, store);
  const half = await silentClient(port, '&from=1');
  const gone = await silentClient(port, '');
  await until(() => sockets.size === 2);
  half.end();
  gone.destroy();
  const ended = once(half.resume(), 'end');
  await ended;
  half.destroy();
  await until(() => sockets.size === 0);
  await write(store, 5, 'after');
  t.is(store.log.head.seq, 10);
});

test('the end of the server ends each answer whole, and refuses new ones', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  const { url, server } = await serve(t, store);
  const sse = messagesOf(await fetch(`${url}/events?format=sse`));
  const lines = await fetch(`${url}/events?follow=true&from=1&data=event`);
  await take(sse, 1);
  await write(store, 1, 'new');
  await take(sse, 1);
  const reader = lines.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const read = async (isEnough: () => boolean): Promise<void> => {
    while (!isEnough()) {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (done) return;
      text += value;
    }
  };
  // All four are sent before the server ends.
  await read(() => text.split('\n').length > 4);
  await server.close();
  t.deepEqual(await take(sse, 9), []);
  await read(() => false);
  t.deepEqual(
    (await linesOf(new Response(text))).map(({ seq }) => seq),
    seqs(1, 4),
  );
  const late = await fetch(`${url}/events?format=sse`);
  t.is(late.headers.get('retry-after'), '10');
  t.regex(await failureOf(late), /^503 STOPPING/);
});

test('the close of the store ends each answer', async (t) => {
  const store = await openTestStore(t);
  const { url, failures } = await serve(t, store);
  const reader = messagesOf(await fetch(`${url}/events?format=sse`));
  await take(reader, 1);
  await store.close();
  t.deepEqual(await take(reader, 1), []);
  t.deepEqual(failures, []);
});

test('a log that cannot be read tells so: an event to browsers, a cut connection to others', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  const failing = Object.create(store) as EventStore;
  Object.defineProperty(failing, 'log', {
    get: () => ({ head: store.log.head, follow: store.log.follow.bind(store.log), read: failingRead }),
  });
  failing.stats = () => store.stats();
  Object.defineProperty(failing, 'registry', { value: store.registry });
  const { url, failures } = await serve(t, failing);
  const reader = messagesOf(await fetch(`${url}/events?format=sse&from=1`));
  t.deepEqual(await take(reader, 9), [
    { id: undefined, event: 'failure', data: '{"code":"LOG_CORRUPT","message":"event 2 is damaged"}' },
  ]);
  await t.throwsAsync(async () => (await fetch(`${url}/events`)).text());
  t.is(failures.length, 2);
});

function failingRead(): AsyncIterable<never> {
  const next = async (): Promise<never> => {
    throw new StoreError('LOG_CORRUPT', 'event 2 is damaged');
  };
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
