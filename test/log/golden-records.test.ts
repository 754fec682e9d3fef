import test from 'ava';
import { decodeRecord, encodeRecord } from '../../src/log/record.js';
import { bytesToHex, hexToBytes } from '../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';

/*
 * Records as they stand in logs that people keep: when one of these fails, old logs can no longer be read, and
 * the format needs a new number and not a new expectation.
 */

/** The digest of 32 such bytes, of any brand. */
function digest(byte: string): never {
  return `sha256:${byte.repeat(32)}` as never;
}

/** Binary of 32 bytes, as MessagePack has it. */
function bin(byte: string): string {
  return `c420${byte.repeat(32)}`;
}

const TIME_HEX = 'cb4278bcfe5687b000';

/** An array of so many values that begins with format 1, seq 3, the time as float64, type, transaction 2 and 3, `ci`, nil, `r-1`. */
function head(array: string, type: string): string {
  return `${array}0103${TIME_HEX}${type}0203a26369c0a3722d31`;
}

const blob = { digest: digest('dd'), size: 70_000, mediaType: 'm/l' };
const blobHex = `93${bin('dd')}ce00011170a36d2f6c`;
const reference = 'docker.io/library/tiny:1';
const amd64Hex = `94${bin('bb')}a56c696e7578a5616d643634c0`;
const referenceHex = 'b8646f636b65722e696f2f6c6962726172792f74696e793a31';

const NONE = { via: undefined, address: undefined, agent: undefined, traceparent: undefined };
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const ROUTES = [
  [
    { via: 'registry', address: '::1', agent: 'docker/27', traceparent: TRACEPARENT },
    `94a87265676973747279a33a3a31a9646f636b65722f3237d937${Buffer.from(TRACEPARENT).toString('hex')}`,
  ],
  [{ ...NONE, via: 'mirror' }, '94a66d6972726f72c0c0c0'],
  [{ ...NONE, traceparent: '' }, '94c0c0c0a0'],
] as const;

/** The record in `hex` with a route: one value more, of format 2. */
function withRoute(hex: string, type: string, routeHex: string): string {
  const array = hex.startsWith('dc') ? hex.slice(0, 6) : hex.slice(0, 2);
  const length = (hex.startsWith('dc') ? Number.parseInt(array.slice(2), 16) : Number.parseInt(array, 16) & 15) + 1;
  const longer = length > 15 ? `dc${length.toString(16).padStart(4, '0')}` : (0x90 | length).toString(16);
  const start = head(array, type);
  if (!hex.startsWith(start)) throw new Error(`${hex} does not begin with ${start}`);
  return `${longer}02${start.slice(array.length + 2)}${routeHex}${hex.slice(start.length)}`;
}

const staysSo = test.macro<[EventBody, string]>({
  exec(t, body, hex) {
    const type = hex.slice(hex.indexOf(TIME_HEX) + TIME_HEX.length).slice(0, 2);
    const transaction = { first: 2, count: 3 };
    const envelope = { seq: 3, time: 1_700_000_000_123, transaction, actor: 'ci', reason: undefined, requestId: 'r-1' };
    const event: StoredEvent = { ...envelope, ...body };
    t.is(bytesToHex(encodeRecord(event)), hex);
    t.deepEqual(decodeRecord(hexToBytes(hex)), event);
    // The time alone becomes an array of it and the clock's.
    const behind = { ...event, clock: 5 };
    const behindHex = hex.replace(TIME_HEX, `92${TIME_HEX}05`);
    t.is(bytesToHex(encodeRecord(behind)), behindHex);
    t.deepEqual(decodeRecord(hexToBytes(behindHex)), behind);
    // With a route the format is 2, and it stands before the fields of the type.
    for (const [route, routeHex] of ROUTES) {
      const routed = { ...event, ...route };
      const routedHex = withRoute(hex, type, routeHex);
      t.is(bytesToHex(encodeRecord(routed)), routedHex);
      t.deepEqual(decodeRecord(hexToBytes(routedHex)), routed);
    }
  },
  title: (given, { type }) => `the bytes of ${type}${given === undefined ? '' : ` ${given}`} stay as they are`,
});

test(
  'with every field',
  staysSo,
  {
    type: 'ImageCreated',
    image: digest('aa'),
    size: 300,
    chainId: digest('bb'),
    os: 'linux',
    architecture: 'arm64',
    variant: 'v8',
    created: '2024-01-31T12:00:00Z',
  },
  `${head('dc0010', '01')}${bin('aa')}cd012c${bin('bb')}a56c696e7578a561726d3634a27638b4323032342d30312d33315431323a30303a30305a`,
);
test(
  'with as little as can be',
  staysSo,
  {
    type: 'ImageCreated',
    image: digest('aa'),
    size: 2,
    chainId: undefined,
    os: '',
    architecture: '',
    variant: undefined,
    created: undefined,
  },
  `${head('dc0010', '01')}${bin('aa')}02c0a0a0c0c0`,
);
test(
  staysSo,
  { type: 'ImageDeleted', image: digest('aa'), parent: digest('bb'), chainId: undefined },
  `${head('9c', '02')}${bin('aa')}${bin('bb')}c0`,
);
test(
  staysSo,
  { type: 'ParentSet', image: digest('aa'), parent: digest('bb'), previous: digest('cc') },
  `${head('9c', '03')}${bin('aa')}${bin('bb')}${bin('cc')}`,
);
test(
  staysSo,
  { type: 'ParentCleared', image: digest('aa'), parent: digest('bb') },
  `${head('9b', '04')}${bin('aa')}${bin('bb')}`,
);
test(
  staysSo,
  { type: 'MetadataSet', image: digest('aa'), key: 'k', value: Uint8Array.of(0, 255) },
  `${head('9c', '05')}${bin('aa')}a16bc40200ff`,
);
test(staysSo, { type: 'MetadataCleared', image: digest('aa'), key: 'k' }, `${head('9b', '06')}${bin('aa')}a16b`);
test(
  staysSo,
  {
    type: 'ReferenceSet',
    reference,
    image: digest('aa'),
    previous: digest('bb'),
    target: blob,
    platforms: [
      { image: digest('aa'), os: 'linux', architecture: 'arm', variant: 'v7' },
      { image: digest('bb'), os: 'linux', architecture: 'amd64', variant: undefined },
    ],
    previousPlatforms: [{ image: digest('bb'), os: 'linux', architecture: 'amd64', variant: undefined }],
  },
  `${head('9f', '07')}${referenceHex}${bin('aa')}${bin('bb')}${blobHex}92` +
    `94${bin('aa')}a56c696e7578a361726da27637${amd64Hex}91${amd64Hex}`,
);
test(
  'of one image',
  staysSo,
  {
    type: 'ReferenceSet',
    reference,
    image: digest('aa'),
    previous: undefined,
    target: undefined,
    platforms: undefined,
    previousPlatforms: undefined,
  },
  `${head('9f', '07')}${referenceHex}${bin('aa')}c0c0c0c0`,
);
test(
  staysSo,
  { type: 'ReferenceRemoved', reference, image: digest('aa'), platforms: undefined },
  `${head('9c', '08')}${referenceHex}${bin('aa')}c0`,
);
const noPlatforms = { platforms: undefined, previousPlatforms: undefined };
test(
  'that moves to an artifact',
  staysSo,
  { type: 'ReferenceSet', reference, image: undefined, previous: digest('bb'), target: blob, ...noPlatforms },
  `${head('9f', '07')}${referenceHex}c0${bin('bb')}${blobHex}c0c0`,
);
test(
  'with annotations, of its descriptor and of index.json, that moves from an artifact',
  staysSo,
  {
    type: 'ReferenceSet',
    reference,
    image: digest('aa'),
    previous: undefined,
    target: undefined,
    ...noPlatforms,
    annotations: { b: '2', a: '1' },
    layoutAnnotations: {},
    previousTarget: digest('cc'),
  },
  `${head('dc0012', '07')}${referenceHex}${bin('aa')}c0c0c0c09292a161a13192a162a13290${bin('cc')}`,
);
test(
  'with annotations of index.json only',
  staysSo,
  {
    type: 'ReferenceSet',
    reference,
    image: digest('aa'),
    previous: undefined,
    target: undefined,
    ...noPlatforms,
    layoutAnnotations: { a: '' },
  },
  `${head('dc0011', '07')}${referenceHex}${bin('aa')}c0c0c0c0c09192a161a0`,
);
test(
  'of an artifact',
  staysSo,
  { type: 'ReferenceRemoved', reference, image: undefined, platforms: undefined, target: digest('cc') },
  `${head('9d', '08')}${referenceHex}c0c0${bin('cc')}`,
);
test(
  'of several platforms',
  staysSo,
  {
    type: 'ReferenceRemoved',
    reference,
    image: digest('bb'),
    platforms: [{ image: digest('bb'), os: 'linux', architecture: 'amd64', variant: undefined }],
  },
  `${head('9c', '08')}${referenceHex}${bin('bb')}91${amd64Hex}`,
);
test(
  staysSo,
  {
    type: 'LayerAdded',
    chainId: digest('aa'),
    diffId: digest('bb'),
    parent: digest('cc'),
    size: 2 ** 40,
    diffSize: 10,
    blob,
  },
  `${head('9f', '09')}${bin('aa')}${bin('bb')}${bin('cc')}cb42700000000000000a${blobHex}`,
);
test(
  staysSo,
  {
    type: 'LayerRemoved',
    chainId: digest('aa'),
    diffId: digest('aa'),
    parent: undefined,
    size: 10,
    diffSize: 10,
    blob,
  },
  `${head('9f', '0a')}${bin('aa')}${bin('aa')}c00a0a${blobHex}`,
);
test(
  staysSo,
  { type: 'ManifestAdded', image: digest('aa'), manifest: blob, layers: [blob] },
  `${head('9c', '0c')}${bin('aa')}${blobHex}91${blobHex}`,
);
test(staysSo, { type: 'ContentErased', digest: digest('aa'), size: 300 }, `${head('9b', '0b')}${bin('aa')}cd012c`);
test(
  staysSo,
  { type: 'ArtifactAdded', artifact: blob, artifactType: 'a/b', subject: blob, contains: [], blobs: [blob, blob] },
  `${head('9e', '0d')}${blobHex}a3612f62${blobHex}9092${blobHex}${blobHex}`,
);
test(
  'of an index',
  staysSo,
  { type: 'ArtifactAdded', artifact: blob, artifactType: '', subject: undefined, contains: [blob], blobs: [] },
  `${head('9e', '0d')}${blobHex}a0c091${blobHex}90`,
);
test(
  staysSo,
  { type: 'ArtifactRemoved', artifact: blob, subject: blob, blobs: [blob] },
  `${head('9c', '0e')}${blobHex}${blobHex}91${blobHex}`,
);
