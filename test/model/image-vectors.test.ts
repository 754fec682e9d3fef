import test from 'ava';
import { clone, createV1Id, type Image, newChildImage, newFromJSON } from '../../src/model/image.js';
import { containerConfigCodec } from '../../src/model/container-config.js';
import { type DiffId, digestOf, idFromDigest, type ImageId } from '../../src/model/digest.js';
import { decodeJson } from '../../src/model/go-json/codecs.js';
import { fixtureRows } from '../support/fixtures.js';
import { storeError } from '../support/store-error.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

interface Accepted {
  readonly config: string;
  readonly id: string;
  readonly marshalled: string;
  readonly clonedTo0001: string;
  readonly runConfig: unknown;
  readonly platform: unknown;
  readonly chainId: string;
  readonly v1Id: string;
  readonly baseImgArch: string;
  readonly baseImgVariant: string;
  readonly operatingSystem: string;
  readonly childInput?: ChildInput;
  readonly childMarshalledWithoutNewTimes?: string;
}

interface ChildInput {
  readonly ContainerID: string;
  readonly Author: string;
  readonly Comment: string;
  readonly DiffID: string;
  readonly OS: string;
  readonly ContainerConfig: unknown;
  readonly Config: unknown;
}

interface Rejected {
  readonly config: string;
  readonly error: string;
}

const rows = fixtureRows<Accepted | Rejected>('image', 'vectors.jsonl');
const accepted = rows.filter((row) => !('error' in row)) as Accepted[];
const rejected = rows.filter((row) => 'error' in row) as Rejected[];

/** The machine that the vectors were recorded on. */
const recordedOn = { os: 'linux', architecture: 'amd64' };
const CLONE_ID = idFromDigest(`sha256:${'1'.padStart(64, '0')}`);
const NEW_TIME = '2077-07-07T07:07:07.007Z';

test('the vectors are all there', (t) => {
  t.deepEqual({ accepted: accepted.length, rejected: rejected.length }, { accepted: 287, rejected: 13 });
  t.is(accepted.filter((row) => row.childInput !== undefined).length, 147);
});

/** One property of an image, in the form in which the vectors have it. */
const answer = test.macro({
  exec(t, recorded: (row: Accepted) => unknown, computed: (image: Image, row: Accepted) => unknown) {
    for (const row of accepted) t.deepEqual(computed(newFromJSON(bytesOf(row.config)), row), recorded(row), row.config);
  },
  title: (name = '') => `${name} is Docker's for every config that it accepts`,
});

test(
  'the id',
  answer,
  (row) => row.id,
  (image) => image.id(),
);
test(
  'the id as text',
  answer,
  (row) => row.id,
  (image) => image.imageID(),
);
test(
  'the marshalled config',
  answer,
  (row) => row.marshalled,
  (image) => textOf(image.marshalJSON()),
);
test(
  'the raw config',
  answer,
  (row) => row.config,
  (image) => textOf(image.rawJSON()),
);
test(
  'the marshalled clone',
  answer,
  (row) => row.clonedTo0001,
  (image) => textOf(clone(image, CLONE_ID).marshalJSON()),
);
test(
  'the run config',
  answer,
  (row) => JSON.stringify(row.runConfig ?? null),
  (image) => runConfigOf(image),
);
test(
  'the platform',
  answer,
  (row) => row.platform,
  (image) => goPlatform(image),
);
test(
  'the chain id',
  answer,
  (row) => row.chainId,
  (image) => image.rootFS.chainID(),
);
test(
  'the v1 id',
  answer,
  (row) => row.v1Id,
  (image) => createV1Id(image.v1Image(), image.rootFS.chainID()),
);
test(
  'the architecture',
  answer,
  (row) => row.baseImgArch,
  (image) => image.baseImgArch(recordedOn.architecture),
);
test(
  'the variant',
  answer,
  (row) => row.baseImgVariant,
  (image) => image.baseImgVariant(),
);
test(
  'the operating system',
  answer,
  (row) => row.operatingSystem,
  (image) => image.operatingSystem(recordedOn.os),
);
test(
  'the child image',
  answer,
  (row) => row.childMarshalledWithoutNewTimes,
  (image, row) => childOf(image, row),
);

test('what Docker marshals comes out again, to the byte, when it is read', (t) => {
  for (const { marshalled } of accepted) t.is(textOf(newFromJSON(bytesOf(marshalled)).marshalJSON()), marshalled);
});

test('the id is the digest of the exact bytes, not of what they mean', (t) => {
  for (const { config } of accepted) {
    const spaced = bytesOf(`${config} `);
    t.is(newFromJSON(spaced).id(), digestOf(spaced) as ImageId);
  }
});

for (const [number, { config, error }] of rejected.entries()) {
  test(`rejected config ${number + 1} is refused here too: ${error}`, (t) => {
    storeError(t, 'CONFIG_INVALID', () => newFromJSON(bytesOf(config)));
  });
}

function runConfigOf(image: Image): string {
  const config = image.runConfig();
  // The vectors hold the run config as JSON within JSON, where Go's escapes of < > & are gone.
  return config === undefined ? 'null' : JSON.stringify(JSON.parse(containerConfigCodec.encode(config)));
}

function goPlatform(image: Image): unknown {
  const { osVersion, osFeatures, ...rest } = image.platform();
  return {
    ...rest,
    ...(osVersion === undefined ? {} : { 'os.version': osVersion }),
    ...(osFeatures === undefined ? {} : { 'os.features': osFeatures }),
  };
}

function childOf(image: Image, { childInput }: Accepted): string | undefined {
  if (childInput === undefined) return undefined;
  const child = newChildImage(
    image,
    {
      containerId: childInput.ContainerID,
      author: childInput.Author,
      comment: childInput.Comment,
      diffId: childInput.DiffID as DiffId,
      containerConfig: configOf(childInput.ContainerConfig),
      config: configOf(childInput.Config),
    },
    childInput.OS,
    { now: () => Date.parse(NEW_TIME), hostArchitecture: recordedOn.architecture },
  );
  return textOf(child.marshalJSON())
    .replace(`"created":"${NEW_TIME}",`, '"created":null,')
    .replace(`"created":"${NEW_TIME}",`, '');
}

function configOf(input: unknown): ReturnType<typeof containerConfigCodec.zero> | undefined {
  if (input === undefined || input === null) return undefined;
  return decodeJson(bytesOf(JSON.stringify(input)), containerConfigCodec);
}
