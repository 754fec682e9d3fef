import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import {
  MAX_REGISTRY_ANSWER_BYTES,
  MAX_REGISTRY_ATTEMPTS,
  MAX_REGISTRY_MANIFEST_BYTES,
  MAX_REGISTRY_PAGES,
  MAX_REGISTRY_REASON_BYTES,
  MAX_REGISTRY_REASON_LENGTH,
  MAX_REGISTRY_REDIRECTS,
  MAX_RETRY_AFTER_MS,
  MIN_REGISTRY_PROGRESS_BYTES,
  REGISTRY_IDLE_MS,
  REGISTRY_RETRY_MAX_MS,
  REGISTRY_RETRY_MIN_MS,
} from '../../src/limits.js';
import { type Digest, digestOf } from '../../src/model/digest.js';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { type RegistryOptions, RegistrySession } from '../../src/registry-client/registry-session.js';
import { collect } from '../support/build-tar.js';
import { fail, FakeRegistry, fakeRegistry, json } from '../support/fake-registry.js';
import { addImage, addSignature, OCI_MANIFEST } from '../support/registry-images.js';
import { rejection } from '../support/rejection.js';

/** A client of a fake registry that never waits, and how long it would have waited. */
function clientOf(
  t: ExecutionContext,
  { host }: FakeRegistry,
  options: RegistryOptions = {},
): { readonly client: RegistryClient; readonly waits: readonly number[] } {
  const waits: number[] = [];
  const wait = async (durationMs: number): Promise<void> => void waits.push(durationMs);
  const session = new RegistrySession(host, { wait, ...options });
  t.teardown(() => session.close());
  return { client: new RegistryClient(session, 'shop/app'), waits };
}

const small = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: {}, layers: [] };

test('a manifest, its descriptor, the tags and a blob are read as they are', async (t) => {
  const registry = await fakeRegistry(t);
  const { manifest, layers } = await addImage(registry, 'shop/app:1', ['one']);
  for (const tag of ['2', '3', '4', '5']) await addImage(registry, `shop/app:${tag}`, [tag]);
  const { client } = clientOf(t, registry);
  const byTag = await client.manifest('1');
  t.deepEqual(byTag.descriptor, manifest);
  t.deepEqual(await client.manifest(manifest.digest), byTag);
  t.deepEqual(await client.head('1'), manifest);
  t.is(await client.head('absent'), undefined);
  const tags: string[] = [];
  for await (const tag of client.tags()) tags.push(tag);
  t.deepEqual(tags, ['1', '2', '3', '4', '5']);
  const [layer] = layers;
  const whole = await collect(client.blob(layer?.digest as Digest));
  t.is(digestOf(whole), layer?.digest as Digest);
  t.deepEqual(await collect(client.blob(layer?.digest as Digest, { offset: 10 })), whole.subarray(10));
  t.true(await client.hasBlob(layer?.digest as Digest));
  t.false(await client.hasBlob(digestOf(Buffer.from('absent'))));
});

test('a registry that names no digest is read for it', async (t) => {
  const registry = await fakeRegistry(t);
  const { manifest } = await addImage(registry, 'shop/app:1', ['one']);
  registry.intercept = ({ method }, response) => {
    if (method === 'HEAD') response.writeHead(200).end();
    return method === 'HEAD';
  };
  t.deepEqual(await clientOf(t, registry).client.head('1'), manifest);
});

test('referrers come from the API, or from the tag that stands for it', async (t) => {
  for (const hasReferrers of [true, false]) {
    const registry = await fakeRegistry(t);
    registry.hasReferrers = hasReferrers;
    const { manifest } = await addImage(registry, 'shop/app:1', ['one']);
    const { client } = clientOf(t, registry);
    t.deepEqual(await client.referrers(manifest.digest), []);
    const signature = addSignature(registry, 'shop/app', manifest);
    const put = await client.manifest(signature);
    await client.putManifest(signature, put);
    await client.putManifest(signature, put);
    const expected = { ...put.descriptor, artifactType: 'application/vnd.example.signature', annotations: {} };
    t.deepEqual(await client.referrers(manifest.digest), [expected]);
    t.deepEqual(await client.referrers(manifest.digest, 'application/vnd.example.sbom'), []);
    const tag = `shop/app/${manifest.digest.replace(':', '-')}`;
    t.is(registry.manifests.has(tag), !hasReferrers);
  }
});

interface BadManifest {
  readonly answer: (response: ServerResponse, request: IncomingMessage) => void;
  readonly code: Parameters<typeof rejection>[1];
  readonly says: RegExp;
}

const html = '<html>log in</html>';
const badManifests: Readonly<Record<string, BadManifest>> = {
  'an HTML page': {
    answer: (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(html),
    code: 'REGISTRY_INVALID',
    says: /expected a manifest or index, found an HTML page/,
  },
  'an HTML page as an error': {
    answer: (response) => void response.writeHead(418, { 'content-type': 'text/html' }).end(html),
    code: 'REGISTRY_REFUSED',
    says: /answered 418 \(an HTML page\)/,
  },
  'JSON that is no manifest': {
    answer: (response) => json(response, { hello: 1 }),
    code: 'REGISTRY_INVALID',
    says: /found the media type "application\/json"/,
  },
  'schema 1': {
    answer: (response) => json(response, { schemaVersion: 1, fsLayers: [] }),
    code: 'REGISTRY_INVALID',
    says: /schema 1 of Docker/,
  },
  'a manifest that is announced as too large': {
    answer: (response) =>
      void response.writeHead(200, { 'content-length': MAX_REGISTRY_MANIFEST_BYTES + 1 }).write('{'),
    code: 'REGISTRY_INVALID',
    says: /expected at most 4194304 bytes, found 4194305/,
  },
  'a manifest that is too large': {
    answer: (response) => void response.writeHead(200).end(Buffer.alloc(MAX_REGISTRY_MANIFEST_BYTES + 1, ' ')),
    code: 'REGISTRY_INVALID',
    says: /expected at most 4194304 bytes, found more/,
  },
  'another digest than announced': {
    answer: (response) => json(response, small, { 'docker-content-digest': `sha256:${'a'.repeat(64)}` }),
    code: 'BLOB_MISMATCH',
    says: /expected sha256:aaaa/,
  },
  'a redirect loop': {
    answer: (response, { url = '' }) => void response.writeHead(307, { location: url }).end(),
    code: 'REGISTRY_INVALID',
    says: new RegExp(`redirects more than ${MAX_REGISTRY_REDIRECTS} times`),
  },
  'a redirect to no address': {
    answer: (response) => void response.writeHead(307, { location: 'file:///etc/passwd' }).end(),
    code: 'REGISTRY_INVALID',
    says: /redirects to what is no address/,
  },
  'a redirect without an address': {
    answer: (response) => void response.writeHead(307).end(),
    code: 'REGISTRY_INVALID',
    says: /cannot follow the redirect/,
  },
  'nothing there': {
    answer: (response) => fail(response, 404, 'MANIFEST_UNKNOWN'),
    code: 'REGISTRY_NOT_FOUND',
    says: /answered 404 \(MANIFEST_UNKNOWN: it is MANIFEST_UNKNOWN\)/,
  },
};

for (const [what, { answer, code, says }] of Object.entries(badManifests)) {
  test(`for a manifest: ${what} is ${code}`, async (t) => {
    const registry = await fakeRegistry(t);
    registry.intercept = (request, response) => {
      answer(response, request);
      return true;
    };
    const { client, waits } = clientOf(t, registry);
    t.regex((await rejection(t, code, client.manifest('1'))).message, says);
    t.deepEqual(waits, [], 'no second attempt would differ');
  });
}

test('429 waits as long as Retry-After says, and other failures longer each time', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one']);
  let failures = [429, 503, 502, 500];
  registry.intercept = (_, response) => {
    const [status, ...rest] = failures;
    failures = rest;
    if (status === undefined) return false;
    response.writeHead(status, status === 429 ? { 'retry-after': '7' } : {}).end();
    return true;
  };
  const { client, waits } = clientOf(t, registry);
  await client.manifest('1');
  t.is(waits[0], 7_000);
  for (const [at, wait] of waits.slice(1).entries()) {
    const longest = REGISTRY_RETRY_MIN_MS * 2 ** (at + 1);
    t.true(wait >= longest / 2 && wait <= longest && wait <= REGISTRY_RETRY_MAX_MS, `${wait} of ${longest}`);
  }
  t.is(waits.length, 4);
});

test('a registry that stays busy is unavailable, at once if it wants a long wait', async (t) => {
  const registry = await fakeRegistry(t);
  const headers: Record<string, string> = {};
  registry.intercept = (_, response) => {
    response.writeHead(429, headers).end();
    return true;
  };
  const patient = clientOf(t, registry);
  const busy = await rejection(t, 'REGISTRY_UNAVAILABLE', patient.client.manifest('1'));
  t.regex(busy.message, new RegExp(`answered 429, in ${MAX_REGISTRY_ATTEMPTS} attempts`));
  t.is(patient.waits.length, MAX_REGISTRY_ATTEMPTS - 1);
  headers['retry-after'] = new Date(Date.now() + MAX_RETRY_AFTER_MS + 60_000).toUTCString();
  const other = clientOf(t, registry);
  t.regex((await rejection(t, 'REGISTRY_UNAVAILABLE', other.client.manifest('1'))).message, /asked again in \d+ s/);
  t.deepEqual(other.waits, []);
});

test('a message has the start of the reason that a registry gives, none of a body that is too large', async (t) => {
  const registry = await fakeRegistry(t);
  let message = 'no'.repeat(MAX_REGISTRY_REASON_LENGTH);
  registry.intercept = (_, response) => {
    const body = JSON.stringify({ errors: [{ code: 'ODD', message }] });
    response.writeHead(400, { 'content-type': 'application/json' }).end(body);
    return true;
  };
  const { client } = clientOf(t, registry);
  const long = await rejection(t, 'REGISTRY_REFUSED', client.manifest('1'));
  t.true(long.message.endsWith(`answered 400 (${`ODD: ${message}`.slice(0, MAX_REGISTRY_REASON_LENGTH)})`));
  message = 'x'.repeat(MAX_REGISTRY_REASON_BYTES);
  t.regex((await rejection(t, 'REGISTRY_REFUSED', client.manifest('1'))).message, /answered 400$/);
});

test('a host where nothing listens is unavailable without a second attempt', async (t) => {
  const { client, waits } = clientOf(t, Object.assign(new FakeRegistry(), { host: '127.0.0.1:1' }));
  const error = await rejection(t, 'REGISTRY_UNAVAILABLE', client.manifest('1'));
  t.regex(error.message, /cannot reach 127\.0\.0\.1:1/);
  t.deepEqual(waits, []);
});

test('a connection that stays silent counts as broken', async (t) => {
  t.true(REGISTRY_IDLE_MS >= 10_000);
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one']);
  let silent = 1;
  registry.intercept = () => silent-- > 0;
  const { client, waits } = clientOf(t, registry, { idleMs: 100 });
  await client.manifest('1');
  t.is(waits.length, 1);
});

test('an abort ends a request and a wait', async (t) => {
  const registry = await fakeRegistry(t);
  registry.intercept = () => true;
  const controller = new AbortController();
  const { client } = clientOf(t, registry, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await rejection(t, 'ABORTED', client.manifest('1'));
  registry.intercept = (_, response) => {
    response.writeHead(503, { 'retry-after': '50' }).end();
    return true;
  };
  const waiting = new AbortController();
  const session = new RegistrySession(registry.host, { signal: waiting.signal });
  setTimeout(() => waiting.abort(), 20);
  await rejection(t, 'ABORTED', new RegistryClient(session, 'shop/app').manifest('1'));
});

test('a list without an end is refused, and one that is not JSON or too large', async (t) => {
  const registry = await fakeRegistry(t);
  registry.intercept = (_, response) => {
    json(response, { tags: ['1'] }, { link: '</v2/shop/app/tags/list?last=1>; rel="next"' });
    return true;
  };
  const { client } = clientOf(t, registry);
  const all = async (): Promise<void> => {
    for await (const tag of client.tags()) t.is(tag, '1');
  };
  t.regex((await rejection(t, 'REGISTRY_INVALID', all)).message, new RegExp(`at most ${MAX_REGISTRY_PAGES} pages`));
  registry.intercept = (_, response) => {
    response.writeHead(200).end('[');
    return true;
  };
  t.regex((await rejection(t, 'REGISTRY_INVALID', all)).message, /expected JSON/);
  registry.intercept = (_, response) => {
    response.writeHead(200).end(Buffer.alloc(MAX_REGISTRY_ANSWER_BYTES + 1, ' '));
    return true;
  };
  t.regex((await rejection(t, 'REGISTRY_INVALID', all)).message, /expected at most/);
});

/** Breaks the first `breaks` bodies of a blob after `each` bytes. */
function breaking(registry: FakeRegistry, bytes: Buffer, breaks: number, each = 100_000): void {
  let left = breaks;
  registry.intercept = ({ url = '', headers }, response) => {
    if (!url.includes('/blobs/') || left-- <= 0) return false;
    const start = Number(/\d+/.exec(headers.range ?? '0')?.[0]);
    response.writeHead(start === 0 ? 200 : 206, {
      'content-length': bytes.length - start,
      ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.write(bytes.subarray(start, start + each), () => response.destroy());
    return true;
  };
}

test('a blob continues where its connection broke, as often as it makes progress', async (t) => {
  const registry = await fakeRegistry(t);
  const bytes = randomBytes(1_000_000);
  const digest = registry.addBlob(bytes);
  breaking(registry, bytes, 8);
  const { client, waits } = clientOf(t, registry);
  t.true(bytes.equals(await collect(client.blob(digest, { size: bytes.length }))));
  t.is(waits.length, 8);
  t.true(
    registry.seen.some(({ headers }) => headers.range === 'bytes=800000-'),
    'no byte came twice',
  );
});

test('a blob of which each connection brings a few bytes is unavailable', async (t) => {
  const registry = await fakeRegistry(t);
  const bytes = randomBytes(100_000);
  const digest = registry.addBlob(bytes);
  breaking(registry, bytes, Number.POSITIVE_INFINITY, MIN_REGISTRY_PROGRESS_BYTES / 100);
  const { client, waits } = clientOf(t, registry);
  await rejection(t, 'REGISTRY_UNAVAILABLE', collect(client.blob(digest, { size: bytes.length })));
  t.is(waits.length, MAX_REGISTRY_ATTEMPTS - 1);
});

test('a registry without ranges sends a broken blob again, and what came is skipped', async (t) => {
  const registry = await fakeRegistry(t);
  const bytes = randomBytes(300_000);
  const digest = registry.addBlob(bytes);
  let first = true;
  registry.intercept = (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    if (first) response.write(bytes.subarray(0, 100_000), () => response.destroy());
    else response.end(bytes);
    first = false;
    return true;
  };
  t.true(bytes.equals(await collect(clientOf(t, registry).client.blob(digest))));
});

test('a blob that ends early every time is unavailable; other bytes are a mismatch', async (t) => {
  const registry = await fakeRegistry(t);
  const bytes = randomBytes(1_000);
  const digest = registry.addBlob(bytes);
  registry.intercept = (_, response) => {
    response.writeHead(200).end();
    return true;
  };
  const { client } = clientOf(t, registry);
  const early = await rejection(t, 'REGISTRY_UNAVAILABLE', collect(client.blob(digest, { size: 1_000 })));
  t.regex(early.message, /ended after 0 of 1000 bytes/);
  registry.intercept = () => false;
  registry.blobs.set(digest, Buffer.from(bytes).fill(0, 999));
  t.regex((await rejection(t, 'BLOB_MISMATCH', collect(client.blob(digest)))).message, /do not match, found sha256:/);
  registry.blobs.set(digest, Buffer.concat([bytes, bytes]));
  const longer = await rejection(t, 'BLOB_MISMATCH', collect(client.blob(digest, { size: 1_000 })));
  t.regex(longer.message, /more than 1000 bytes/);
});

test('a range that is not the one asked for is refused', async (t) => {
  const registry = await fakeRegistry(t);
  registry.intercept = (_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end('0123456789');
    return true;
  };
  const digest = digestOf(Buffer.from('x'));
  const error = await rejection(
    t,
    'REGISTRY_INVALID',
    collect(clientOf(t, registry).client.blob(digest, { offset: 5 })),
  );
  t.regex(error.message, /expected the bytes from 5 on, found "bytes 0-9\/10"/);
});
