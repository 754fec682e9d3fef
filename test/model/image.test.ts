import test from 'ava';
import { MAX_CONFIG_VALUES, MAX_HISTORY_ENTRIES, MAX_JSON_NUMBER_LENGTH } from '../../src/limits.js';
import { type DiffId, digestOf, idFromDigest, type ImageId } from '../../src/model/digest.js';
import { clone, type Details, identifiedImage, labelsIn, newFromJSON, newImage } from '../../src/model/image.js';
import { StoredConfig, storedImage } from '../../src/model/stored-image.js';
import { parseTimestamp } from '../../src/model/timestamp.js';
import { storeError } from '../support/store-error.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

const diffId = digestOf(bytesOf('layer')) as DiffId;
const id = digestOf(bytesOf('id')) as ImageId;
const parent = digestOf(bytesOf('parent')) as ImageId;

const config = {
  architecture: 'arm64',
  variant: 'v8',
  os: 'windows',
  'os.version': '10.0.17763.1',
  'os.features': ['win32k'],
  author: 'me',
  comment: 'first',
  container: 'c0ffee',
  docker_version: '25.0.5',
  Size: 9,
  created: '2024-01-01T00:00:00.50Z',
  parent,
  config: {
    Cmd: 'sh',
    Entrypoint: ['/entry'],
    Env: ['A=1'],
    ExposedPorts: { '80/tcp': {} },
    Labels: { a: 'b' },
    StopTimeout: 0,
    Healthcheck: { Test: ['NONE'], StartInterval: 5, Retries: 2 },
  },
  history: [{ created_by: 'x', comment: 'y', empty_layer: true }],
  rootfs: { type: 'layers', diff_ids: [diffId] },
};
const text = JSON.stringify(config);

test('every field of a config is read', (t) => {
  const image = newFromJSON(bytesOf(text));
  t.is(image.architecture, 'arm64');
  t.is(image.variant, 'v8');
  t.is(image.os, 'windows');
  t.is(image.osVersion, '10.0.17763.1');
  t.deepEqual(image.osFeatures, ['win32k']);
  t.is(image.author, 'me');
  t.is(image.comment, 'first');
  t.is(image.container, 'c0ffee');
  t.is(image.dockerVersion, '25.0.5');
  t.is(image.size, 9);
  t.is(image.created, parseTimestamp('2024-01-01T00:00:00.5Z'));
  t.is(image.parent, parent);
  t.deepEqual(image.rootFS.diffIds, [diffId]);
  t.is(image.rootFS.type, 'layers');
  t.deepEqual(image.history, [{ created: undefined, createdBy: 'x', author: '', comment: 'y', emptyLayer: true }]);
  t.is(image.runConfig(), image.config);
  t.deepEqual(image.platform(), {
    os: 'windows',
    architecture: 'arm64',
    variant: 'v8',
    osVersion: '10.0.17763.1',
    osFeatures: ['win32k'],
  });
});

test('the run config is read as Docker reads it: a command may be one string', (t) => {
  const run = newFromJSON(bytesOf(text)).config;
  t.deepEqual(run?.cmd, ['sh']);
  t.deepEqual(run?.entrypoint, ['/entry']);
  t.deepEqual(run?.env, ['A=1']);
  t.deepEqual(run?.exposedPorts, { '80/tcp': {} });
  t.deepEqual(run?.labels, { a: 'b' });
  t.is(run?.stopTimeout, 0);
  t.is(run?.volumes, null);
  t.deepEqual(run?.healthcheck, {
    test: ['NONE'],
    interval: 0,
    timeout: 0,
    startPeriod: 0,
    startInterval: 5,
    retries: 2,
  });
});

test('a config that says nothing gives empty fields, and the host stands in where Docker lets it', (t) => {
  const image = newFromJSON(bytesOf('{"rootfs":{}}'));
  t.is(image.parent, '');
  t.is(image.created, undefined);
  t.is(image.config, undefined);
  t.is(image.rootFS.type, '');
  t.deepEqual(image.history, []);
  t.deepEqual(image.platform(), { os: '', architecture: '' });
  t.is(image.operatingSystem('plan9'), 'plan9');
  t.is(image.baseImgArch('mips'), 'mips');
  t.truthy(image.operatingSystem());
  t.truthy(image.baseImgArch());
});

test('a stored image has the parent that the store knows, and its bytes as they are', (t) => {
  const identity = { id, parent: idFromDigest(`sha256:${'2'.repeat(64)}`), details: undefined };
  const known = storedImage(new StoredConfig(bytesOf(text)), identity);
  t.is(known.id(), id);
  t.is(known.parent, `sha256:${'2'.repeat(64)}` as ImageId);
  t.true(textOf(known.marshalJSON()).includes(`"parent":"sha256:${'2'.repeat(64)}"`));
  t.is(textOf(known.rawJSON()), text);
});

test('an image without a given parent has none, even if its config names one', (t) => {
  const known = storedImage(new StoredConfig(bytesOf(text)), { id, parent: undefined, details: undefined });
  t.is(known.parent, '');
  t.false(textOf(known.marshalJSON()).includes('"parent"'));
});

test('details are asked for once, when somebody wants them, and never marshalled', (t) => {
  let asked = 0;
  const details = (): Details => {
    asked++;
    return { references: ['docker.io/library/a:1'], size: 5, metadata: {}, driver: 'blobs' };
  };
  const plain = storedImage(new StoredConfig(bytesOf(text)), { id, parent, details: undefined });
  const detailed = storedImage(new StoredConfig(bytesOf(text)), { id, parent, details });
  t.deepEqual(detailed.marshalJSON(), plain.marshalJSON());
  t.is(asked, 0);
  t.is(detailed.details?.size, 5);
  t.is(detailed.details, detailed.details);
  t.is(asked, 1);
  t.is(plain.details, undefined);
});

test('a clone has the other id, in its config too, and the original stays', (t) => {
  const image = newFromJSON(bytesOf(text));
  const copy = clone(image, id);
  t.is(copy.id(), id);
  t.is(copy.imageID(), id);
  t.true(textOf(copy.marshalJSON()).includes(`"id":"${id}"`));
  t.false(textOf(image.marshalJSON()).includes('"id"'));
  t.throws(() => clone({ ...image }, id), { instanceOf: TypeError });
});

test('a new image has its id and nothing else', (t) => {
  const image = newImage(id);
  t.is(image.id(), id);
  t.is(image.rootFS.chainID(), '');
  t.is(image.rootFS.type, 'layers');
  const marshalled = JSON.parse(textOf(image.marshalJSON())) as Record<string, unknown>;
  t.deepEqual(Object.keys(marshalled), ['container_config', 'created']);
  t.is(marshalled.created, null);
});

test('keys match in any case, the last one wins, and parts that come twice are merged', (t) => {
  const twice =
    '{"ROOTFS":{"Type":"a","diff_ids":["x"]},"rootfs":{"type":"layers"},"author":"a","AUTHOR":"b",' +
    '"config":{"Env":["A=1"],"Cmd":["x","y"]},"Config":{"user":"u","cmd":null}}';
  const image = newFromJSON(bytesOf(twice));
  t.is(image.rootFS.type, 'layers');
  t.deepEqual([...image.rootFS.diffIds] as string[], ['x']);
  t.is(image.author, 'b');
  t.deepEqual(image.config?.env, ['A=1']);
  t.is(image.config?.cmd, null);
  t.is(image.config?.user, 'u');
});

test('a size beyond what a double holds survives', (t) => {
  const image = newFromJSON(bytesOf('{"rootfs":{},"Size":9007199254740993}'));
  t.is(image.size, 9007199254740993n);
  t.true(textOf(image.marshalJSON()).startsWith('{"Size":9007199254740993,'));
});

test('an error names the field in its message and data, and keeps its cause', (t) => {
  const error = storeError(t, 'CONFIG_INVALID', () =>
    newFromJSON(bytesOf('{"rootfs":{},"history":[{},{"created":"yesterday"}]}')),
  );
  t.is(
    error.message,
    'the image config cannot be read: history.1.created: expected an RFC 3339 time, found "yesterday"',
  );
  t.deepEqual(error.data, { field: 'history.1.created' });
  t.is((error.cause as Error).name, 'JsonError');
  t.is(
    storeError(t, 'CONFIG_INVALID', () => newFromJSON(bytesOf('{}'))).message,
    'the image config cannot be read: expected an object rootfs, found none',
  );
});

test('a config cut anywhere is CONFIG_INVALID', (t) => {
  const whole = bytesOf(text);
  for (let length = 0; length < whole.length; length++) {
    storeError(t, 'CONFIG_INVALID', () => newFromJSON(whole.subarray(0, length)));
  }
});

test('a config with any one byte replaced is read or is CONFIG_INVALID, and what is read marshals to valid JSON', (t) => {
  const whole = bytesOf(text);
  for (let at = 0; at < whole.length; at++) {
    for (const byte of [0x00, 0x22, 0x5c, 0x7d, 0xff]) {
      const damaged = Uint8Array.from(whole);
      damaged[at] = byte;
      let marshalled: string;
      try {
        marshalled = textOf(newFromJSON(damaged).marshalJSON());
      } catch {
        storeError(t, 'CONFIG_INVALID', () => newFromJSON(damaged));
        continue;
      }
      t.notThrows(() => JSON.parse(marshalled));
    }
  }
});

test('deep nesting is refused, also in a field that nobody reads', (t) => {
  const deep = (depth: number): Uint8Array => bytesOf(`{"rootfs":{},"x":${'['.repeat(depth)}${']'.repeat(depth)}}`);
  t.notThrows(() => newFromJSON(deep(999)));
  storeError(t, 'CONFIG_INVALID', () => newFromJSON(deep(1_000)));
  storeError(t, 'CONFIG_INVALID', () => newFromJSON(deep(2_000_000)));
});

const limited = test.macro({
  exec(t, _: string, limit: number, config: (count: number) => string) {
    t.notThrows(() => newFromJSON(bytesOf(config(limit))));
    const { message } = storeError(t, 'CONFIG_INVALID', () => newFromJSON(bytesOf(config(limit + 1))));
    t.regex(message, new RegExp(`(more than|at most) ${limit}`));
  },
  title: (_, what, limit) => `a config may have ${limit} ${what}, and not one more`,
});

const items = (count: number, item: string): string => Array<string>(count).fill(item).join();
// The config, its rootfs and the list itself are values too.
test(limited, 'values', MAX_CONFIG_VALUES, (count) => `{"rootfs":{},"x":[${items(count - 3, '0')}]}`);
test(limited, 'build steps', MAX_HISTORY_ENTRIES, (count) => `{"rootfs":{},"history":[${items(count, '{}')}]}`);
test(limited, 'digits in a number', MAX_JSON_NUMBER_LENGTH, (count) => `{"rootfs":{},"x":${'1'.repeat(count)}}`);

test('what a store took in before there were limits is read', (t) => {
  const steps = items(MAX_HISTORY_ENTRIES + 1, '{}');
  const others = items(MAX_CONFIG_VALUES, '0');
  const bytes = bytesOf(`{"rootfs":{},"history":[${steps}],"x":[${others},${'1'.repeat(MAX_JSON_NUMBER_LENGTH + 1)}]}`);
  t.is(identifiedImage(bytes, digestOf(bytes) as ImageId, undefined).history.length, MAX_HISTORY_ENTRIES + 1);
});

test('a string of 4 MiB is read, with and without escapes', (t) => {
  for (const author of ['x'.repeat(4 * 1024 * 1024), '\n<é'.repeat(1024 * 1024)]) {
    const image = newFromJSON(bytesOf(JSON.stringify({ author, rootfs: {} })));
    t.is(image.author, author);
    t.is((JSON.parse(textOf(image.marshalJSON())) as { author: string }).author, author);
  }
});

test('bytes that are no UTF-8 become U+FFFD in what is marshalled and stay in what is raw', (t) => {
  const bytes = Uint8Array.from([...bytesOf('{"rootfs":{},"author":"a'), 0xe2, 0x82, ...bytesOf('"}')]);
  const image = newFromJSON(bytes);
  t.is(image.author, 'a\ufffd\ufffd');
  t.deepEqual(image.rawJSON(), bytes);
  t.is(image.id(), digestOf(bytes) as ImageId);
});

test('labels are read alone as they are with the rest', (t) => {
  for (const given of [
    text,
    '{"rootfs":{}}',
    '{"rootfs":{},"config":null}',
    '{"rootfs":{},"config":{}}',
    '{"rootfs":{},"config":{"Labels":null}}',
    '{"rootfs":{},"config":{"Labels":{}}}',
    '{"rootfs":{},"Config":{"LABELS":{"a":"b","a":"c","__proto__":"d"}}}',
    '{"rootfs":{},"config":{"Labels":{"a":"b"}},"config":{"labels":{"c":"d"}}}',
  ]) {
    t.deepEqual(labelsIn(bytesOf(given)), newFromJSON(bytesOf(given)).config?.labels ?? null, given);
  }
  for (const given of ['', '[]', '{"config":{"Labels":{"a":1}}}', '{"config":"x"}']) {
    storeError(t, 'CONFIG_INVALID', () => labelsIn(bytesOf(given)), given);
  }
});

test('an image is marshalled once', (t) => {
  const image = newFromJSON(bytesOf(text));
  t.is(image.marshalJSON(), image.marshalJSON());
});
