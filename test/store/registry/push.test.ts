import { createHook } from 'node:async_hooks';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import test from 'ava';
import { StoreError } from '../../../src/errors.js';
import { MAX_PUSHED_MANIFEST_BYTES } from '../../../src/limits.js';
import { type Digest, digestOf } from '../../../src/model/digest.js';
import type { StoredEvent } from '../../../src/model/events.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { StagedBlob } from '../../../src/store/layers/blob-store.js';
import type { PushRequest } from '../../../src/store/registry-store.js';
import type { ReferenceEntry } from '../../../src/store/store.js';
import {
  type Entry,
  entryOf,
  imageNamed,
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  push,
  pushable,
  type Pushable,
  type PushableImage,
  sha512Of,
  signatureOf,
  stage,
} from '../../support/pushed-images.js';
import { rejection } from '../../support/rejection.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { bytesOf } from '../../support/text-bytes.js';
import { archivePath } from '../fixture-archives.js';
import { footprint, reopened, temporaryStore } from '../temporary-store.js';

const APP = 'docker.io/shop/app';
const OTHER = 'docker.io/shop/other';
const FOREIGN = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';

const typesOf = (events: readonly StoredEvent[]): string[] => events.map(({ type }) => type);

function tagOf(store: EventStore, tag: string, repository = APP): ReferenceEntry | undefined {
  return store.referenceEntries().find(({ reference }) => reference === `${repository}:${tag}`);
}

/** The code of the error of a push that may fail. */
async function outcomeOf(pushing: Promise<unknown>): Promise<string> {
  try {
    await pushing;
    return 'pushed';
  } catch (error) {
    return error instanceof StoreError ? error.code : String(error);
  }
}

/** Architectures of the images that a tag stands for. */
function architecturesOf(store: EventStore, tag: string): string[] | undefined {
  return tagOf(store, tag)?.platforms?.map(({ architecture }) => architecture);
}

test('a push writes layers, image, manifest and references as one transaction, with how it came', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a', { files: ['one', 'two'] });
  const pushed = await push(store, APP, image, { tags: ['1', 'latest'], actor: 'ada', requestId: 'r-1' });
  const events = await eventsOf(store);
  t.deepEqual(typesOf(events), [
    'LayerAdded',
    'LayerAdded',
    'ImageCreated',
    'ManifestAdded',
    ...['ReferenceSet', 'ReferenceSet', 'ReferenceSet'],
  ]);
  for (const { transaction, actor, via, requestId } of events) {
    t.deepEqual(
      { transaction, actor, via, requestId },
      {
        transaction: { first: 1, count: 7 },
        actor: 'ada',
        via: 'registry',
        requestId: 'r-1',
      },
    );
  }
  t.deepEqual(pushed, { digest: image.digest, name: image.digest, subject: undefined, notices: [], seq: 7 });
  t.deepEqual(store.registry.tags(APP), ['1', 'latest']);
  for (const name of ['1', 'latest', image.digest]) {
    t.deepEqual(store.registry.manifest(APP, name), {
      descriptor: { mediaType: OCI_MANIFEST, digest: image.digest, size: image.size },
      bytes: image.bytes,
      name: image.digest,
    });
  }
  t.is(store.resolve('shop/app:1'), image.id);
  for (const blob of image.blobs) {
    t.is(store.registry.uploads.staged(APP, digestOf(blob)), undefined);
    const found = store.registry.blob(APP, digestOf(blob));
    t.is(found?.size, blob.length);
    t.deepEqual(found && new Uint8Array(await buffer(found.read())), blob);
    t.deepEqual(found && new Uint8Array(await buffer(found.read({ first: 1, last: 4 }))), blob.slice(1, 5));
  }
  const again = await reopened(t, store);
  t.deepEqual(again.registry.manifest(APP, '1')?.bytes, image.bytes);
});

test('a push of what is there is no event; a new tag is one, and a moved tag says what was there', async (t) => {
  const store = await temporaryStore(t);
  const [first, second] = [await imageNamed('first'), await imageNamed('second')];
  await push(store, APP, first, { tags: ['1'] });
  const { head } = store.log;
  t.is((await push(store, APP, first, { tags: ['1'] })).seq, head.seq);
  t.is((await push(store, APP, first)).seq, head.seq);
  t.deepEqual(store.log.head, head);
  for (const blob of first.blobs) t.is(store.registry.uploads.staged(APP, digestOf(blob)), undefined);
  t.is((await push(store, APP, first, { tags: ['1', '2'] })).seq, head.seq + 1);
  await push(store, APP, second, { tags: ['1'] });
  const moved = (await eventsOf(store)).filter((event) => event.type === 'ReferenceSet').slice(-2);
  t.deepEqual(
    moved.map(({ reference, image, previous }) => ({ reference, image, previous })),
    [
      { reference: `${APP}:1`, image: second.id, previous: first.id },
      { reference: `${APP}@${second.digest}`, image: second.id, previous: undefined },
    ],
  );
  t.deepEqual(store.registry.manifest(APP, first.digest)?.bytes, first.bytes);
});

test('confirming a tag is an event that changes nothing: of an image, an index and an artifact', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  await push(store, APP, image, { tags: ['image'] });
  await push(store, APP, indexOf([image]), { tags: ['index'] });
  await push(store, APP, signatureOf(image), { tags: ['artifact'] });
  for (const tag of ['image', 'index', 'artifact']) {
    const [before, { seq }] = [tagOf(store, tag), store.log.head];
    await store.registry.confirm(APP, tag, { via: 'mirror', reason: 'seen' });
    const event = (await eventsOf(store)).at(-1);
    t.like(event, { seq: seq + 1, type: 'ReferenceSet', reference: `${APP}:${tag}`, via: 'mirror', reason: 'seen' });
    t.deepEqual(tagOf(store, tag), before && { ...before, seq: seq + 1, time: event?.time ?? 0 });
    t.is((await store.referenceHistory(`${APP}:${tag}`)).length, 1);
  }
  await rejection(t, 'REFERENCE_NOT_FOUND', store.registry.confirm(APP, 'other'));
  t.deepEqual(await store.verify(), []);
});

test('a tag of an index has the image of each platform, of children pushed before and after it', async (t) => {
  const store = await temporaryStore(t);
  const [amd64, arm64, s390x] = [
    await imageNamed('a', { architecture: 'amd64' }),
    await imageNamed('b', { architecture: 'arm64' }),
    await imageNamed('c', { architecture: 's390x' }),
  ];
  const index = indexOf([amd64, arm64, s390x]);
  await push(store, APP, amd64);
  await push(store, APP, index, { tags: ['all'] });
  t.deepEqual(architecturesOf(store, 'all'), ['amd64']);
  t.is(store.registry.manifest(APP, arm64.digest), undefined);
  await push(store, APP, s390x);
  t.deepEqual(architecturesOf(store, 'all'), ['amd64', 's390x']);
  const { seq } = await push(store, APP, arm64, { tags: ['arm'] });
  t.deepEqual(architecturesOf(store, 'all'), ['amd64', 'arm64', 's390x']);
  t.deepEqual(store.registry.manifest(APP, 'all')?.bytes, index.bytes);
  // The child and the tag of its index change together.
  const last = (await eventsOf(store)).filter(({ transaction }) => transaction.first + transaction.count - 1 === seq);
  t.true(last.some((event) => event.type === 'ReferenceSet' && event.reference === `${APP}:all`));
  t.is((await push(store, APP, index, { tags: ['all'] })).seq, seq);
});

test('an index of none of whose children are there is kept, and read', async (t) => {
  const store = await temporaryStore(t);
  const index = indexOf([await imageNamed('a'), await imageNamed('b', { architecture: 'arm64' })]);
  await push(store, APP, index, { tags: ['all'] });
  t.is(tagOf(store, 'all')?.image, undefined);
  t.is(tagOf(store, 'all')?.target?.digest, index.digest);
  t.deepEqual(store.registry.manifest(APP, 'all')?.bytes, index.bytes);
  const again = await reopened(t, store);
  t.deepEqual(again.registry.manifest(APP, index.digest)?.descriptor.mediaType, OCI_INDEX);
});

test('a child that another repository pushes is not in an index here until it is pushed here', async (t) => {
  const store = await temporaryStore(t);
  const child = await imageNamed('a');
  await push(store, APP, indexOf([child]), { tags: ['all'] });
  await push(store, OTHER, child, { tags: ['1'] });
  await push(store, APP, child);
  t.is(tagOf(store, 'all')?.image, child.id);
});

test('a nested index leads to its images, whichever of them comes last', async (t) => {
  const orders = [
    ['child', 'inner', 'outer'],
    ['outer', 'inner', 'child'],
    ['inner', 'child', 'outer'],
  ] as const;
  for (const order of orders) {
    const store = await temporaryStore(t);
    const child = await imageNamed('a', { architecture: 'arm64' });
    const inner = indexOf([child]);
    const parts = { child, inner, outer: indexOf([inner]) };
    for (const part of order) await push(store, APP, parts[part], part === 'outer' ? { tags: ['all'] } : {});
    const title = order.join(', ');
    t.is(tagOf(store, 'all')?.image, child.id, title);
    for (const part of Object.values(parts)) {
      t.deepEqual(store.registry.manifest(APP, part.digest)?.bytes, part.bytes, title);
    }
    for (const blob of child.blobs) t.truthy(store.registry.blob(APP, digestOf(blob)), title);
  }
});

test('children and their index are pushed at once, and the tag has every platform', async (t) => {
  const store = await temporaryStore(t);
  const names = ['amd64', 'arm64', 's390x', 'riscv64'];
  for (const order of ['index first', 'index last', 'index between', 'index before']) {
    const children = await Promise.all(names.map((architecture) => imageNamed(order + architecture, { architecture })));
    for (const blob of children.flatMap(({ blobs }) => blobs)) await stage(store, APP, blob);
    const index = indexOf(children);
    const at = { 'index first': 0, 'index last': 4, 'index between': 2 }[order];
    const all = at === undefined ? children : children.toSpliced(at, 0, index as PushableImage);
    const tag = order.replace(' ', '-');
    if (at === undefined) await push(store, APP, index, { tags: [tag] });
    await Promise.all(
      all.map(({ mediaType, bytes }) =>
        store.registry.push({ repository: APP, mediaType, bytes, tags: bytes === index.bytes ? [tag] : [] }),
      ),
    );
    t.deepEqual(architecturesOf(store, tag), names, order);
  }
});

test('a child that is pushed while the tag of its index moves or goes does not bring it back', async (t) => {
  const changes = {
    moved: (store: EventStore) => store.tag({ source: `${APP}:other`, target: `${APP}:all` }),
    gone: (store: EventStore) => store.untag(`${APP}:all`),
    removed: (store: EventStore) => store.registry.remove(APP, 'all'),
  };
  for (const [title, change] of Object.entries(changes)) {
    const store = await temporaryStore(t);
    const [child, other] = [await imageNamed('child'), await imageNamed('other')];
    await push(store, APP, other, { tags: ['other'] });
    await push(store, APP, indexOf([child]), { tags: ['all'] });
    for (const blob of child.blobs) await stage(store, APP, blob);
    const { mediaType, bytes } = child;
    await Promise.all([store.registry.push({ repository: APP, mediaType, bytes }), change(store)]);
    t.is(tagOf(store, 'all')?.image, title === 'moved' ? other.id : undefined, title);
    t.deepEqual(store.registry.manifest(APP, child.digest)?.bytes, bytes, title);
  }
});

test('an artifact is found by its subject, which need not be there', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  const signature = signatureOf(image);
  const { subject } = await push(store, APP, signature);
  t.is(subject, image.digest);
  const found = {
    mediaType: OCI_MANIFEST,
    digest: signature.digest,
    size: signature.size,
    artifactType: 'application/vnd.example.signature',
    annotations: {},
  };
  t.deepEqual(store.registry.referrers(APP, image.digest), [found]);
  t.deepEqual(store.registry.referrers(OTHER, image.digest), []);
  await push(store, APP, image, { tags: ['1'] });
  const again = await reopened(t, store);
  t.deepEqual(again.registry.referrers(APP, image.digest), [found]);
  t.deepEqual(again.registry.manifest(APP, signature.digest)?.bytes, signature.bytes);
});

test('an image whose config lies about its layers is kept as it came, with a notice', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a', { diffIds: [`sha256:${'ab'.repeat(32)}`] });
  const { notices } = await push(store, APP, image, { tags: ['1'] });
  t.is(notices.length, 1);
  t.regex(notices[0] ?? '', /^kept as it came, not as an image: /);
  t.is(store.map().size, 0);
  t.is(store.artifacts()[0]?.artifact.digest, image.digest);
  t.deepEqual(store.registry.manifest(APP, '1')?.bytes, image.bytes);
  for (const blob of image.blobs) t.is(store.registry.blob(APP, digestOf(blob))?.size, blob.length);
});

test('a layer is decompressed once, while it comes in, whichever manifests name it', async (t) => {
  const [first, second] = [await imageNamed('1', { files: ['shared'] }), await imageNamed('2', { files: ['shared'] })];
  const liar = await imageNamed('liar', { files: ['other'], diffIds: [`sha256:${'ab'.repeat(32)}`] });
  const [config, layer] = first.blobs as [Uint8Array, Uint8Array];
  // The store has the layer of its diff id as another file.
  const stored = new Uint8Array(gzipSync(gunzipSync(layer), { level: 0 }));
  const { layers, ...document } = JSON.parse(new TextDecoder().decode(first.bytes)) as { readonly layers: Entry[] };
  const other = pushable(OCI_MANIFEST, { ...document, layers: [{ ...layers[0], ...sizedOf(stored) }] }, []);
  const named = ({ mediaType, bytes }: Pushable, tag: string): PushRequest => {
    return { repository: APP, mediaType, bytes, tags: [tag] };
  };
  let store = await temporaryStore(t);
  const counted = async (what: string, expected: number, run: () => Promise<unknown>): Promise<void> => {
    t.is(await gunzipsDuring(run), expected, what);
  };
  await counted('uploads', 3, async () => {
    for (const blob of [...first.blobs, ...liar.blobs, second.blobs[0] ?? config, stored])
      await stage(store, APP, blob);
  });
  store = await reopened(t, store);
  await counted('a push after a restart', 0, () => store.registry.push(named(first, '1')));
  await counted('a layer that is there', 0, () => store.registry.push(named(second, '2')));
  await counted('another file of a layer', 0, () => store.registry.push(named(other, '3')));
  await counted('a wrong diff id', 0, async () => {
    const { notices } = await store.registry.push(named(liar, '4'));
    t.regex(notices.join(), /^kept as it came, not as an image: .*expected diff id/);
  });
  await counted('mounts', 0, async () => {
    const blobs = [...first.blobs, ...liar.blobs, stored];
    for (const blob of blobs) await store.registry.uploads.mount(OTHER, digestOf(blob), 'ada');
    for (const each of [first, liar, other]) await store.registry.push({ ...named(each, '1'), repository: OTHER });
  });
  store = await reopened(t, store);
  await counted('a layer of the log', 0, () => store.registry.push(named(first, '5')));
  await counted('a file whose finding a restart forgot', 1, () => store.registry.push(named(other, '6')));
  await counted('the same file again', 0, () => store.registry.push(named(other, '7')));
  t.is(store.resolve('shop/app:7'), first.id);
});

function sizedOf(bytes: Uint8Array): Pick<Entry, 'digest' | 'size'> {
  return { digest: digestOf(bytes), size: bytes.length };
}

/** Counts the gzip decoders that are made meanwhile. */
async function gunzipsDuring(run: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'ZLIB') count += 1;
    },
  });
  hook.enable();
  try {
    await run();
  } finally {
    hook.disable();
  }
  return count;
}

test('foreign layers need not be uploaded', async (t) => {
  const store = await temporaryStore(t);
  const absent = [entryOf(FOREIGN, bytesOf('far away'))];
  const image = await imageNamed('a', { absent, diffIds: [] });
  await push(store, APP, image, { tags: ['1'] });
  t.deepEqual(store.registry.manifest(APP, '1')?.bytes, image.bytes);
  t.is(store.registry.blob(APP, absent[0]?.digest as Digest), undefined);
  t.is(store.registry.blob(APP, digestOf(image.blobs[1] as Uint8Array))?.size, image.blobs[1]?.length);
});

test('what is no manifest is refused, and nothing changes', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  await push(store, APP, await imageNamed('before'), { tags: ['1'] });
  for (const blob of image.blobs) await stage(store, APP, blob);
  const before = await footprint(store);
  const { mediaType, bytes } = image;
  const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  const missing = pushable(OCI_MANIFEST, { config: entryOf('x/y', bytesOf('never')), layers: [] }, []);
  const refused = (request: PushRequest): Promise<unknown> => store.registry.push(request);
  const fails = [
    ['ARCHIVE_MANIFEST_INVALID', { repository: APP, mediaType: schema1, bytes }],
    ['ARCHIVE_MANIFEST_INVALID', { repository: APP, mediaType: '', bytes }],
    ['ARCHIVE_MANIFEST_INVALID', { repository: APP, mediaType: OCI_INDEX, bytes }],
    ['ARCHIVE_MANIFEST_INVALID', { repository: APP, mediaType: `${mediaType}; charset=utf-8`, bytes }],
    ['ARCHIVE_MANIFEST_INVALID', { repository: APP, mediaType, bytes: bytesOf('{') }],
    ['ARCHIVE_MANIFEST_INVALID', { repository: APP, mediaType, bytes: bytesOf('{"schemaVersion":1}') }],
    ['ARCHIVE_LIMIT_EXCEEDED', { repository: APP, mediaType, bytes: new Uint8Array(MAX_PUSHED_MANIFEST_BYTES + 1) }],
    ['BLOB_MISMATCH', { repository: APP, mediaType, bytes, name: digestOf(bytesOf('other')) }],
    ['BLOB_MISMATCH', { repository: APP, mediaType, bytes, name: sha512Of(bytesOf('other')) }],
    ['BLOB_NOT_FOUND', { repository: APP, mediaType: missing.mediaType, bytes: missing.bytes }],
    ['BLOB_NOT_FOUND', { repository: OTHER, mediaType, bytes }],
    ['REFERENCE_INVALID', { repository: 'docker.io/Shop', mediaType, bytes }],
    ['REFERENCE_INVALID', { repository: APP, mediaType, bytes, tags: ['fine', '-'] }],
  ] as const;
  for (const [code, request] of fails)
    await rejection(t, code, refused(request), JSON.stringify({ ...request, bytes: 0 }));
  t.deepEqual(await footprint(store), before);
  for (const blob of image.blobs) t.truthy(store.registry.uploads.staged(APP, digestOf(blob)));
  const lacking = await rejection(t, 'BLOB_NOT_FOUND', refused({ repository: OTHER, mediaType, bytes }));
  t.deepEqual(lacking.data, { repository: OTHER, digests: image.blobs.map((blob) => digestOf(blob)) });
});

test('a store without files of layers takes no push, and a read-only one none', async (t) => {
  const none = await openTestStore(t, { layers: 'none' });
  const { mediaType, bytes } = await imageNamed('a');
  await rejection(t, 'LAYERS_UNAVAILABLE', none.registry.push({ repository: APP, mediaType, bytes }));
  const store = await temporaryStore(t);
  const reader = await reopened(t, store, { readOnly: true });
  await rejection(t, 'STORE_READ_ONLY', reader.registry.push({ repository: APP, mediaType, bytes }));
  await rejection(t, 'STORE_READ_ONLY', reader.registry.remove(APP, '1'));
});

test('content named by SHA-512 is pushed, read and mounted by that name', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a', { nameOf: sha512Of });
  const name = sha512Of(image.bytes);
  for (const blob of image.blobs) await stage(store, APP, blob, sha512Of(blob));
  const { mediaType, bytes } = image;
  const pushed = await store.registry.push({ repository: APP, mediaType, bytes, name, tags: ['1'] });
  t.deepEqual([pushed.name, pushed.digest], [name, image.digest]);
  const [config, layer] = image.blobs as [Uint8Array, Uint8Array];
  const uploads = store.registry.uploads;
  await uploads.mount(OTHER, store.registry.blob(APP, sha512Of(layer))?.digest as Digest, 'ada', sha512Of(layer));
  t.deepEqual(store.registry.repositoriesWith(sha512Of(layer)).sort(), [APP, OTHER]);
  await stage(store, OTHER, config, sha512Of(config));
  await store.registry.push({ repository: OTHER, mediaType, bytes, name });
  const again = await reopened(t, store);
  for (const repository of [APP, OTHER]) {
    t.deepEqual(again.registry.manifest(repository, name)?.bytes, bytes);
    t.is(again.registry.manifest(repository, name)?.name, name);
    for (const blob of image.blobs) {
      const found = again.registry.blob(repository, sha512Of(blob));
      t.deepEqual(found && new Uint8Array(await buffer(found.read())), blob);
    }
  }
  t.is(again.registry.manifest(APP, '1')?.name, name);
  t.deepEqual((await again.registry.remove(APP, name)).toSorted(), [`${APP}:1`, `${APP}@${name}`]);
  t.is(again.registry.manifest(APP, name), undefined);
  t.deepEqual(again.registry.manifest(OTHER, name)?.bytes, bytes);
});

test('two pushes of one tag at once: each is whole, and the second says what the first was', async (t) => {
  const store = await temporaryStore(t);
  const images = await Promise.all(['a', 'b', 'c', 'd'].map((name) => imageNamed(name)));
  await Promise.all(images.map((image) => push(store, APP, image, { tags: ['1'] })));
  const moves = (await eventsOf(store)).filter(
    (event) => event.type === 'ReferenceSet' && event.reference === `${APP}:1`,
  ) as Extract<StoredEvent, { type: 'ReferenceSet' }>[];
  t.is(moves.length, images.length);
  t.deepEqual(
    moves.map(({ previous }) => previous),
    [undefined, ...moves.slice(0, -1).map(({ image }) => image)],
  );
  t.is(tagOf(store, '1')?.image, moves.at(-1)?.image);
  for (const { digest, bytes } of images) t.deepEqual(store.registry.manifest(APP, digest)?.bytes, bytes);
});

test('manifests that share staged blobs are pushed at once', async (t) => {
  const store = await temporaryStore(t);
  for (let round = 0; round < 6; round++) {
    const files = [`shared ${round}`, `also shared ${round}`];
    const images = await Promise.all(['a', 'b', 'c'].map((name) => imageNamed(`${name} ${round}`, { files })));
    for (const blob of images.flatMap(({ blobs }) => blobs)) await stage(store, APP, blob);
    // One begins while another is at some step of its way.
    const pushes = images.map(async ({ mediaType, bytes }, at) => {
      for (let turn = 0; turn < round * at; turn++) await new Promise((resolve) => setImmediate(resolve));
      return store.registry.push({ repository: APP, mediaType, bytes, tags: [`${round}-${at}`] });
    });
    t.deepEqual(
      (await Promise.all(pushes)).map(({ notices }) => notices),
      [[], [], []],
    );
    for (const blob of images.flatMap(({ blobs }) => blobs)) t.truthy(store.registry.blob(APP, digestOf(blob)));
  }
  t.is(store.map().size, 18);
});

test('a push keeps the blobs of the store that it names, though their image is deleted meanwhile', async (t) => {
  const outcomes = new Set<string>();
  for (let round = 0; round < 10; round++) {
    const store = await temporaryStore(t);
    const files = ['shared'];
    const [first, second] = [await imageNamed('a', { files }), await imageNamed('b', { files })];
    await push(store, APP, first, { tags: ['1'] });
    await stage(store, APP, second.blobs[0] as Uint8Array);
    const { mediaType, bytes } = second;
    const pushing = store.registry.push({ repository: APP, mediaType, bytes, tags: ['2'] });
    for (let turn = 0; turn < round * 3; turn++) await Promise.resolve();
    const outcome = outcomeOf(pushing);
    await store.delete(first.id);
    outcomes.add(await outcome);
    if (outcomes.has('pushed')) {
      const layer = store.registry.blob(APP, digestOf(second.blobs[1] as Uint8Array));
      t.deepEqual(layer && new Uint8Array(await buffer(layer.read())), second.blobs[1], `round ${round}`);
    }
    t.true(outcomes.delete('pushed') || outcomes.delete('BLOB_NOT_FOUND'), [...outcomes].join());
    t.is(outcomes.size, 0);
  }
});

test('an upload that is removed while a manifest names it is there whole, or the push fails', async (t) => {
  const store = await temporaryStore(t);
  const outcomes = new Set<string>();
  for (let round = 0; round < 10; round++) {
    const image = await imageNamed(`image ${round}`);
    for (const blob of image.blobs) await stage(store, APP, blob);
    const before = store.log.head.seq;
    const { mediaType, bytes } = image;
    const pushing = outcomeOf(store.registry.push({ repository: APP, mediaType, bytes, tags: ['1'] }));
    const wait = async (): Promise<void> => {
      for (let turn = 0; turn < round * 4; turn++) await Promise.resolve();
    };
    await wait().then(() => store.registry.uploads.remove(APP, digestOf(image.blobs[1] as Uint8Array)));
    const outcome = await pushing;
    outcomes.add(outcome);
    const layer = store.registry.blob(APP, digestOf(image.blobs[1] as Uint8Array));
    if (outcome === 'pushed') t.deepEqual(layer && new Uint8Array(await buffer(layer.read())), image.blobs[1]);
    else t.is(store.log.head.seq, before);
  }
  outcomes.delete('pushed');
  t.true(outcomes.size === 0 || (outcomes.size === 1 && outcomes.has('BLOB_NOT_FOUND')), [...outcomes].join());
});

test('an erased image is refused until it is pushed again', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('secret');
  await push(store, APP, image, { tags: ['1'] });
  await store.delete(image.id);
  await store.erase(image.id, 'leaked');
  t.is(store.registry.manifest(APP, '1'), undefined);
  const before = store.log.head.seq;
  const pushed = await push(store, APP, image, { tags: ['1'] });
  t.true(pushed.seq > before);
  t.deepEqual(pushed.notices, []);
  const again = await reopened(t, store);
  t.is(tagOf(again, '1')?.image, image.id);
  for (const blob of image.blobs) {
    const found = again.registry.blob(APP, digestOf(blob));
    t.deepEqual(found && new Uint8Array(await buffer(found.read())), blob);
  }
});

test('a push that is committed succeeds although its staged blobs cannot be removed', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a', { files: ['one'] });
  for (const code of ['DISK_FULL', 'IO_FAILED', 'STORE_CLOSED'] as const) {
    const settle = (): Promise<void> => Promise.reject(new StoreError(code, 'no space'));
    Object.assign(store.registry.uploads, { settle });
    const { notices, seq } = await push(store, APP, image, { tags: [code.toLowerCase()] });
    t.is(seq, store.log.head.seq);
    t.deepEqual(notices, ['pushed, but its uploaded blobs stay until they expire: no space']);
    t.truthy(tagOf(store, code.toLowerCase()));
  }
});

test('a push, and a load, that are committed succeed although what they staged cannot be discarded', async (t) => {
  const notices: string[] = [];
  const store = await openTestStore(t, { onNotice: (notice) => notices.push(notice) });
  let committed = 0;
  const { discard } = StagedBlob.prototype;
  t.teardown(() => Object.assign(StagedBlob.prototype, { discard }));
  Object.assign(StagedBlob.prototype, {
    async discard(this: StagedBlob): Promise<void> {
      await discard.call(this);
      if (store.log.head.seq > committed) throw new StoreError('IO_FAILED', 'the disk is gone');
    },
  });
  const image = await imageNamed('a');
  const pushed = await push(store, APP, image, { tags: ['1'] });
  t.is(pushed.seq, store.log.head.seq);
  t.deepEqual(store.registry.manifest(APP, '1')?.bytes, image.bytes);
  committed = pushed.seq;
  const { images } = await store.load(archivePath('docker25-untagged.tar'));
  t.true(images.every(({ id }) => store.map().has(id)));
  t.is(notices.at(-1), 'staged files stay until the store is opened again: the disk is gone');
});
