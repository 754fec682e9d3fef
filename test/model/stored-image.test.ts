import { inspect } from 'node:util';
import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { idFromDigest, type ImageId } from '../../src/model/digest.js';
import { clone, identifiedImage, type Image } from '../../src/model/image.js';
import { StoredConfig, storedImage } from '../../src/model/stored-image.js';
import { fixtureRows } from '../support/fixtures.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

const id = idFromDigest(`sha256:${'1'.repeat(64)}`);
const parent = idFromDigest(`sha256:${'2'.repeat(64)}`);

interface Vector {
  readonly config: string;
  readonly error?: string;
}

/** Every answer of an image that does not depend on how it was made. */
function answersOf(image: Image): unknown {
  const { comment, created, container, containerConfig, dockerVersion, author, config } = image;
  const { architecture, variant, os, size, history, osVersion, osFeatures } = image;
  return {
    fields: { comment, created, container, containerConfig, dockerVersion, author, config },
    more: { architecture, variant, os, size, history, osVersion, osFeatures, parent: image.parent },
    ids: [image.id(), image.imageID(), image.rootFS.chainID(), image.rootFS.type, ...image.rootFS.diffIds],
    bytes: [textOf(image.marshalJSON()), textOf(image.rawJSON())],
    platform: [image.platform(), image.baseImgArch('a'), image.baseImgVariant(), image.operatingSystem('o')],
    run: [image.runConfig(), image.v1Image()],
  };
}

test('a stored image answers each question as the image decoded at once', (t) => {
  const vectors = fixtureRows<Vector>('image', 'vectors.jsonl').filter(({ error }) => error === undefined);
  t.true(vectors.length > 200);
  for (const { config } of vectors) {
    const stored = storedImage(new StoredConfig(bytesOf(config)), { id, parent, details: undefined });
    const eager = identifiedImage(bytesOf(config), id, parent);
    t.deepEqual(answersOf(stored), answersOf(eager));
    t.deepEqual(answersOf(clone(stored, parent)), answersOf(clone(eager, parent)));
  }
});

test('the config of a stored image is decoded when a field of it is asked for', (t) => {
  const image = storedImage(new StoredConfig(bytesOf('not JSON')), { id, parent: undefined, details: undefined });
  t.is(image.id(), id);
  t.is(image.parent, '' as ImageId);
  t.is(textOf(image.rawJSON()), 'not JSON');
  const error = t.throws(() => image.os);
  t.true(isStoreError(error, 'CONFIG_INVALID'));
});

test('a console shows the fields of a stored image', (t) => {
  const image = storedImage(new StoredConfig(bytesOf('{"os":"plan9","rootfs":{"type":"layers"}}')), {
    id,
    parent,
    details: undefined,
  });
  t.regex(inspect(image), /plan9/);
});

test('what one image of a config gives cannot change another of the same config', (t) => {
  const text =
    '{"config":{"Env":["A=1"],"Labels":{"a":"b"},"Healthcheck":{"Test":["NONE"]}},"os.features":["x"],' +
    '"history":[{"author":"a"}],"rootfs":{"type":"layers","diff_ids":["sha256:1"]}}';
  const config = new StoredConfig(bytesOf(text));
  const [first, second] = [
    storedImage(config, { id, parent, details: undefined }),
    storedImage(config, { id, parent, details: undefined }),
  ];
  const parts = [
    first.config,
    first.config?.env,
    first.config?.labels,
    first.config?.healthcheck?.test,
    first.containerConfig,
  ];
  const more = [
    first.history,
    first.history[0],
    first.osFeatures,
    first.rootFS,
    first.rootFS.diffIds,
    first.v1Image().config,
  ];
  for (const part of [...parts, ...more]) t.true(Object.isFrozen(part));
  t.is(first.rawJSON(), first.rawJSON());
  t.is(first.marshalJSON(), first.marshalJSON());
  const before = answersOf(second);
  first.rawJSON().fill(0);
  first.marshalJSON().fill(0);
  t.deepEqual(answersOf(second), before);
  t.deepEqual(answersOf(storedImage(config, { id, parent, details: undefined })), before);
});

test('a config is decoded once, for any parents it is read with', (t) => {
  const config = new StoredConfig(bytesOf('{"history":[{"author":"a"}],"rootfs":{"type":"layers"}}'));
  const [one, other] = [parent, undefined].map((each) => config.image(id, each));
  t.is(one?.history, other?.history);
  t.true(Object.isFrozen(one) && Object.isFrozen(other));
});

test('two images of one config have each the parent that it was asked for with', (t) => {
  const config = new StoredConfig(bytesOf('{"os":"plan9","rootfs":{"type":"layers"}}'));
  const parents = [parent, undefined, parent];
  const images = parents.map((each) => storedImage(config, { id, parent: each, details: undefined }));
  t.deepEqual(
    images.map((image) => [image.os, image.parent]),
    parents.map((each) => ['plan9', each ?? '']),
  );
  t.deepEqual(
    images.map((image) => textOf(image.marshalJSON()).includes(parent)),
    [true, false, true],
  );
});
