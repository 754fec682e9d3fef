import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { MAX_TAGS_OF_PUSH } from '../../src/limits.js';
import { imageNamed, OCI_MANIFEST, push, stage } from '../support/pushed-images.js';
import { bytesOf } from '../support/text-bytes.js';
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

test('If-None-Match takes lists, weak tags and a star, for manifests and blobs', async (t) => {
  const { store, base } = await startRegistry(t);
  const image = await imageNamed('a');
  await push(store, 'docker.io/shop/app', image, { tags: ['1'] });
  for (const [path, digest] of [
    ['manifests/1', image.digest],
    [`blobs/${image.id}`, image.id],
  ] as const) {
    const statusOf = async (method: string, header: string, more: Record<string, string> = {}): Promise<number> => {
      const headers = { 'if-none-match': header, ...more };
      const answer = await fetch(`${base}/v2/shop/app/${path}`, { method, headers });
      t.is(answer.headers.get('etag'), `"${digest}"`);
      t.is((await answer.arrayBuffer()).byteLength > 0, method === 'GET' && answer.status !== 304);
      return answer.status;
    };
    const same = [
      ...[`"${digest}"`, `W/"${digest}"`, '*', ' * '],
      ...[`"other", "${digest}"`, `"a,b" , W/"${digest}","c"`, `"*",W/"",,"${digest}"`],
    ];
    for (const header of same) for (const method of ['GET', 'HEAD']) t.is(await statusOf(method, header), 304, header);
    const others = ['"other"', digest, `"${digest}`, `"x${digest}"`, '"*"', `"W/${digest}"`, '', '*, "a"'];
    for (const header of others) t.is(await statusOf('GET', header), 200, header);
    t.is(await statusOf('HEAD', '"other"'), 200);
  }
  const answer = await fetch(`${base}/v2/shop/app/blobs/${image.id}`, {
    headers: { 'if-none-match': '"other"', range: 'bytes=0-3' },
  });
  t.is(answer.status, 206);
  const before = { 'if-none-match': '*', range: 'bytes=0-3' };
  t.is((await fetch(`${base}/v2/shop/app/blobs/${image.id}`, { headers: before })).status, 304);
  t.is((await fetch(`${base}/v2/shop/app/manifests/2`, { headers: { 'if-none-match': '*' } })).status, 404);
});

test('a Content-Type may have parameters, which are ignored; the mediaType of a manifest may not', async (t) => {
  const { store, base } = await startRegistry(t);
  const put = async (tag: string, type: string, body: Uint8Array): Promise<[number, string]> => {
    const headers = { 'content-type': type };
    const url = `${base}/v2/shop/app/manifests/${tag}`;
    const answer = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) });
    return [answer.status, await answer.text()];
  };
  const image = await imageNamed('a');
  for (const blob of image.blobs) await stage(store, 'docker.io/shop/app', blob);
  t.is((await put('1', `${OCI_MANIFEST.toUpperCase()} ; charset=utf-8`, image.bytes))[0], 201);
  const answer = await fetch(`${base}/v2/shop/app/manifests/1`);
  t.is(answer.headers.get('content-type'), OCI_MANIFEST);
  t.is(answer.headers.get('docker-content-digest'), image.digest);
  for await (const event of store.log.read({ filter: { reference: 'shop/app:1' } })) {
    t.like(event, { target: { mediaType: OCI_MANIFEST } });
  }
  const text = new TextDecoder().decode(image.bytes);
  const own = bytesOf(text.replace(OCI_MANIFEST, `${OCI_MANIFEST}; charset=utf-8`));
  t.notDeepEqual(own, image.bytes);
  const [status, body] = await put('2', OCI_MANIFEST, own);
  t.is(status, 400);
  t.regex(body, /"code":"MANIFEST_INVALID".*found application\/vnd.oci.image.manifest.v1\+json; charset=utf-8/);
  t.is((await put('2', 'application/json; charset=utf-8', image.bytes))[0], 400);
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
