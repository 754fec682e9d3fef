import test from 'ava';
import fc from 'fast-check';
import { MAX_REFERENCE_LENGTH } from '../../../src/limits.js';
import { newFromJSON } from '../../../src/model/image.js';
import { formatReference, parseReference } from '../../../src/model/reference.js';
import { imageConfig } from '../../support/image-configs.js';
import { bytesOf } from '../../support/text-bytes.js';
import { allowedFailure } from './allowed-failure.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

test('a reference is one that is written and read as itself, or refused', async (t) => {
  const texts = ['shop/app:1.0', 'localhost:5000/a/b', `a@sha256:${'0'.repeat(64)}`, 'x/y:z@sha256:'].map(bytesOf);
  await fuzz(
    t,
    mutated(fc.constantFrom(...texts)),
    async (bytes) => {
      const reference = await allowedFailure(
        () => parseReference(textOf(bytes)),
        ['REFERENCE_INVALID', 'DIGEST_INVALID'],
      );
      if (reference === undefined) return;
      const text = formatReference(reference);
      t.true(text.length <= MAX_REFERENCE_LENGTH);
      t.deepEqual(parseReference(text), reference);
    },
    2_000,
  );
});

test('a config is an image with those bytes, or refused', async (t) => {
  const config = bytesOf(
    JSON.stringify({
      architecture: 'arm64',
      variant: 'v8',
      os: 'linux',
      created: '2024-01-01T00:00:00.123456789Z',
      config: { Env: ['A=1'], ExposedPorts: { '80/tcp': {} }, Healthcheck: { Interval: 1e9 }, Labels: { ü: '\ud83d' } },
      history: [{ created: '2024-01-01T00:00:00Z', created_by: 'RUN', empty_layer: true }, {}],
      rootfs: { type: 'layers', diff_ids: [`sha256:${'a'.repeat(64)}`] },
    }),
  );
  await fuzz(
    t,
    mutated(fc.constantFrom(config, imageConfig('a'))),
    async (bytes) => {
      const image = await allowedFailure(
        () => newFromJSON(bytes),
        ['CONFIG_INVALID', 'HISTORY_INVALID', 'DIGEST_INVALID', 'CONFIG_TOO_LARGE'],
      );
      if (image === undefined) return;
      t.deepEqual(image.rawJSON(), bytes);
      image.marshalJSON();
      image.platform();
    },
    2_000,
  );
});
