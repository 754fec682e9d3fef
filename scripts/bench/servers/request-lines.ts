import { formatNumber } from '../format-number.js';
import type { BenchContext, Measured, Target } from '../benchmark.js';
import { perSecond, timedLines } from '../daemons/daemon-lines.js';
import { type RegistryImage, smallImages } from '../inputs/random-archive.js';
import { interleave, type Timed, timeOfServer } from '../rounds.js';
import { TARGETS } from '../targets.js';
import { type RegistryKind, type RunningRegistry, SERVE } from './registry-kinds.js';
import { repeatRequest } from './repeated-request.js';
import { push, withClient } from './transfers.js';

const IMAGES = 1_000;
const FEWEST_IMAGES = 32;
const CLIENTS = 16;
const SMALL_BYTES = 4_096;
const BLOB_BYTES = 1024 * 1024;

/** What is asked for again and again. */
const MANIFESTS = { connections: 64, count: 10_000 };
const SMALL_BLOBS = { connections: 64, count: 10_000 };
const BLOBS = { connections: 16, count: 1_000 };
const FEWEST_REQUESTS = 64;

/** Times of a round. */
interface Requests {
  readonly pushes: Timed;
  readonly manifests: Timed;
  readonly smallBlobs: Timed;
  readonly blobs: Timed;
}

/** Many small images pushed at once; manifests and blobs read over many connections. */
export async function requestLines(context: BenchContext, peers: readonly RegistryKind[]): Promise<Measured[]> {
  const { scale, rounds, directory } = context;
  const count = Math.max(FEWEST_IMAGES, Math.round(IMAGES * scale));
  const images = smallImages({ images: count, fileBytes: SMALL_BYTES, seed: 34 });
  const [large] = smallImages({ images: 1, fileBytes: BLOB_BYTES, seed: 35 });
  if (large === undefined) throw new RangeError('no image was made');
  const requests = (whole: number): number => Math.max(FEWEST_REQUESTS, Math.round(whole * scale));
  const kinds = [SERVE, ...peers];
  const found = await interleave(
    rounds,
    Object.fromEntries(kinds.map((kind) => [kind.name, () => measure(kind, directory, { images, large, requests })])),
  );
  const line = (title: string, [things, many]: readonly [string, number], part: keyof Requests, target: Target) => {
    const valuesOf = (kind: RegistryKind): Timed[] => (found[kind.name] ?? []).map((each) => each[part]);
    const sides = peers.map((kind) => ({ name: kind.name, values: valuesOf(kind), settings: kind.settings, target }));
    return timedLines(title, perSecond(many, things), valuesOf(SERVE), sides);
  };
  const small = `${formatNumber(SMALL_BYTES / 1_024)} KiB`;
  return [
    ...line(`push ${count} small images, ${CLIENTS} clients`, ['images', count], 'pushes', TARGETS.servePushMany),
    ...line(
      `GET of a manifest, ${MANIFESTS.connections} connections`,
      ['requests', requests(MANIFESTS.count)],
      'manifests',
      TARGETS.serveManifest,
    ),
    ...line(
      `GET of a blob of ${small}, ${SMALL_BLOBS.connections} connections`,
      ['requests', requests(SMALL_BLOBS.count)],
      'smallBlobs',
      TARGETS.serveBlob,
    ),
    ...line(
      `GET of a blob of 1 MiB, ${BLOBS.connections} connections`,
      ['requests', requests(BLOBS.count)],
      'blobs',
      TARGETS.serveBlob,
    ),
  ];
}

interface Work {
  readonly images: readonly RegistryImage[];
  readonly large: RegistryImage;
  readonly requests: (whole: number) => number;
}

async function measure(kind: RegistryKind, directory: string, { images, large, requests }: Work): Promise<Requests> {
  await using server = await kind.start(directory);
  const { port, pids } = server;
  const pushes = await timeOfServer(() => pushAll(server, images), pids);
  await withClient(server, 'bench/one', (client) => push(client, large, '1'));
  const [first] = images;
  if (first === undefined) throw new RangeError('no image was pushed');
  const times = (path: string, { connections, count }: typeof MANIFESTS): Promise<Timed> =>
    timeOfServer(() => repeatRequest({ port, path, connections, count: requests(count) }), pids);
  return {
    pushes,
    manifests: await times(`/v2/${repositoryOf(0)}/manifests/0`, MANIFESTS),
    smallBlobs: await times(blobPath(repositoryOf(0), first), SMALL_BLOBS),
    blobs: await times(blobPath('bench/one', large), BLOBS),
  };
}

/** Each client has its own repository, and pushes its images one by one. */
async function pushAll(server: RunningRegistry, images: readonly RegistryImage[]): Promise<void> {
  const pushOwn = (own: number): Promise<void> =>
    withClient(server, repositoryOf(own), async (client) => {
      for (let at = own; at < images.length; at += CLIENTS) await push(client, images[at] as RegistryImage, String(at));
    });
  await Promise.all(Array.from({ length: CLIENTS }, (_, own) => pushOwn(own)));
}

function repositoryOf(client: number): string {
  return `bench/small-${client}`;
}

/** Path of the layer of an image. */
function blobPath(repository: string, { blobs: [layer] }: RegistryImage): string {
  return `/v2/${repository}/blobs/${layer?.descriptor.digest}`;
}
