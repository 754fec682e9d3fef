import test from 'ava';
import { StoreError } from '../../src/errors.js';
import { checkHistory, checkOS, type Image, newFromJSON } from '../../src/model/image.js';
import { type Digest, idFromDigest, type ImageId } from '../../src/model/digest.js';
import { StoredConfig, storedImage } from '../../src/model/stored-image.js';
import { fixtureRows } from '../support/fixtures.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

interface Row {
  readonly op: string;
  readonly config?: string;
  readonly id?: Digest;
  readonly result?: unknown;
  readonly error?: { readonly kind: string; readonly message: string };
}

interface Got {
  readonly chainId: string;
  readonly imageId: string;
  readonly marshalled: string;
  readonly os: string;
  readonly parent: string;
}

const traces = Array.from({ length: 40 }, (_, at) =>
  fixtureRows<Row>('store', `store-${String(at + 1).padStart(3, '0')}.jsonl`),
);
const rows = traces.flat();

/** What of Docker's message tells which check of create refused, and the code that stands for it here. */
const refusals: readonly (readonly [RegExp, string])[] = [
  [/^too many non-empty layers/, 'HISTORY_INVALID'],
  [/^operating system is not supported/, 'OS_UNSUPPORTED'],
  [/^(json|invalid (image JSON|character)|unexpected end of JSON|parsing time)/, 'CONFIG_INVALID'],
  // The config is fine; the layer store lacks the layer.
  [/^failed to get layer/, 'none'],
];

test('every create that was recorded is accepted or refused by the same check', (t) => {
  const creates = rows.filter(({ op }) => op === 'create');
  t.true(creates.length > 1_000);
  for (const { config = '', error, result } of creates) {
    const expected = error === undefined ? 'none' : refusals.find(([message]) => message.test(error.message))?.[1];
    t.is(refusalOf(config), expected ?? `no code for ${error?.message}`, config);
    if (result !== undefined) t.is<unknown, unknown>(newFromJSON(bytesOf(config)).id(), result);
  }
});

test('every get that was recorded is answered from the config, the id and the parent', (t) => {
  let count = 0;
  for (const trace of traces) {
    const configs = new Map(trace.filter(({ op, error }) => op === 'create' && !error).map((row) => [row.result, row]));
    for (const { id, result } of trace.filter((row) => row.op === 'get' && row.result !== undefined)) {
      const got = result as Got;
      const parent: ImageId | undefined = got.parent === '' ? undefined : idFromDigest(got.parent);
      const image = storedImage(new StoredConfig(bytesOf(configs.get(id)?.config ?? '')), {
        id: idFromDigest(id ?? ''),
        parent,
        details: undefined,
      });
      t.deepEqual(answerOf(image), got);
      count++;
    }
  }
  t.true(count > 100);
});

function answerOf(image: Image): Got {
  return {
    chainId: image.rootFS.chainID(),
    imageId: image.imageID(),
    marshalled: textOf(image.marshalJSON()),
    os: image.operatingSystem('linux'),
    parent: image.parent,
  };
}

function refusalOf(config: string): string {
  try {
    const image = newFromJSON(bytesOf(config));
    checkHistory(image);
    checkOS(image.operatingSystem('linux'), 'linux');
    return 'none';
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
}
