import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { MAX_TAGS_OF_PUSH } from '../../src/limits.js';
import { imageNamed, push } from '../support/pushed-images.js';
import { startRegistry } from './start-registry.js';

test('the catalog leaves out names that no client can pull', async (t) => {
  const { store, base } = await startRegistry(t);
  const image = await imageNamed('a');
  for (const name of ['localhost:5000/app', 'Upper.example/app', 'docker.io/shop/app', 'host.example/app']) {
    await push(store, name, image, { tags: ['1'] });
  }
  const answer = await fetch(`${base}/v2/_catalog`);
  t.deepEqual(await answer.json(), { repositories: ['host.example/app', 'shop/app'] });
});

/** Sends chunks without a Content-Length; resolves with the status and the code of the error. */
async function patch(url: string, range: string, chunks: readonly string[]): Promise<[number | undefined, string]> {
  const sent = request(url, { method: 'PATCH', headers: { 'content-range': range } });
  for (const chunk of chunks) {
    sent.write(chunk);
    await turn();
  }
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return [answer.statusCode, /"code":"(\w+)"/.exec(text)?.[1] ?? ''];
}

test('a chunked body that is not as long as its range is 400 SIZE_INVALID', async (t) => {
  const { base } = await startRegistry(t);
  const start = async (): Promise<string> => {
    const { headers } = await fetch(`${base}/v2/shop/app/blobs/uploads/`, { method: 'POST' });
    return new URL(headers.get('location') ?? '', base).href;
  };
  t.deepEqual(await patch(await start(), '0-5', ['abc', 'def']), [202, '']);
  t.deepEqual(await patch(await start(), '0-6', ['abc', 'def']), [400, 'SIZE_INVALID']);
  t.deepEqual(await patch(await start(), '0-4', ['abc', 'def']), [400, 'SIZE_INVALID']);
});

test('a push sets at most MAX_TAGS_OF_PUSH tags; more set none', async (t) => {
  const { store, base } = await startRegistry(t);
  const before = store.log.head.seq;
  const query = Array.from({ length: MAX_TAGS_OF_PUSH }, (_, at) => `tag=t${at}`).join('&');
  const answer = await fetch(`${base}/v2/shop/app/manifests/last?${query}`, { method: 'PUT', body: '{}' });
  t.is(answer.status, 400);
  t.regex(await answer.text(), /MANIFEST_INVALID.*at most 100 tags, found 101/);
  t.is(store.log.head.seq, before);
});
