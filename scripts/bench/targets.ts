import type { Target } from './benchmark.js';

/** A project target with its title in the summary. */
export interface NamedTarget extends Target {
  readonly title: string;
}

const target = (of: Target['of'], title: string, limit: Limit): NamedTarget => ({ title, of, ...limit });
const ratio = (title: string, limit: Limit): NamedTarget => target('ratio', title, limit);
const ours = (title: string, limit: Limit): NamedTarget => target('ours', title, limit);

type Limit = Pick<Target, 'bound' | 'value' | 'by'>;
const atLeast = (value: number, by: Target['by'] = 'wall'): Limit => ({ bound: 'at least', value, by });
const atMost = (value: number, by: Target['by'] = 'wall'): Limit => ({ bound: 'at most', value, by });

/**
 * All targets in summary order. Lines refer to one as their `target`; if several share one, the
 * worst counts. A ratio is ours divided by the peer's: high is good for rates, low for times.
 */
export const TARGETS = {
  createToDocker: ratio("create one by one, to Docker's calls", atLeast(1.5, 'both')),
  createToLevel: ratio('create one by one, to level', atLeast(0.9, 'both')),
  createTogetherToDocker: ratio("create 64 at once, to Docker's calls", atLeast(12, 'both')),
  createTogetherToLevel: ratio('create 64 at once, to level, chained', atLeast(0.65, 'both')),
  appendToLevel: ratio('append in hundreds, to level, an array', atLeast(0.6)),
  appendToEmmett: ratio('append in hundreds, to Emmett + SQLite', atLeast(2, 'cpu')),
  appendToHypercore: ratio('append in hundreds, to hypercore', atLeast(1.5, 'cpu')),
  appendToSqlite: ratio('append in hundreds, to better-sqlite3', atLeast(0.8, 'cpu')),
  readToSqlite: ratio('read all events, to better-sqlite3', atLeast(0.8, 'both')),
  replayChecked: ratio('replay, checked, to level, for await', atLeast(0.45)),
  replayUnchecked: ratio('replay, unchecked, to level, for await', atLeast(0.6)),
  openToDocker: ratio("open 100,000, to Docker's calls", atLeast(40, 'both')),
  mapToDocker: ratio("map() of 100,000, to Docker's calls", atLeast(200, 'both')),
  headsToDocker: ratio("heads() of 100,000, to Docker's calls", atLeast(200, 'both')),
  getCold: ratio("get cold, to Docker's calls", atLeast(3, 'both')),
  getWarm: ratio("get warm, to Docker's calls", atLeast(20, 'both')),
  search: ours('search by prefix, a second', atLeast(2_160_000, 'both')),
  children: ours('children, a second', atLeast(1_560_000, 'both')),
  memory: ours('heap an image at 1,000,000, bytes', atMost(250)),
  disk: ratio('disk an event, to its bytes', atMost(1.6)),
  diskOfSmallEvents: ours('disk a small event, bytes', atMost(160)),
  loadPlain: ratio('load 384 MiB plain, to the floor', atMost(1.1, 'both')),
  loadGzip: ratio('load 384 MiB gzip, to the floor', atMost(1.1, 'both')),
  loadZstd: ratio('load 384 MiB zstd, to the floor', atMost(1.2, 'both')),
  loadPlainToSkopeo: ratio('load 384 MiB plain, to skopeo', atMost(1)),
  loadGzipToSkopeo: ratio('load 384 MiB gzip, to skopeo', atMost(1)),
  save: ratio('save 384 MiB, to the floor', atMost(1.3)),
  importLibrary: ours('import of the library, ms', atMost(120)),
  help: ours('imagelog --help, ms', atMost(200)),
  imagesToDocker: ratio('images, to docker images', atMost(4, 'both')),
  resolveToDocker: ratio('resolve, to docker images', atMost(4, 'both')),
  lastLogToDocker: ratio('log -n 1, to docker images', atMost(4, 'both')),
  imagesToDockerOn24: ratio('images on Node 24, to docker images', atMost(3, 'both')),
  resolveToDockerOn24: ratio('resolve on Node 24, to docker images', atMost(3, 'both')),
  lastLogToDockerOn24: ratio('log -n 1 on Node 24, to docker images', atMost(3, 'both')),
  loadManyToDockerd: ratio('load 300 small images, to dockerd', atLeast(16, 'both')),
  loadMany: ratio('load 300 small images, to cp and sync', atMost(3, 'both')),
  imagesToJson: ratio('images of 20,000, to its JSON', atMost(1.3, 'both')),
  logToJson: ratio('log of 20,000, to its JSON', atMost(1.3, 'both')),
  firstLine: ratio('first line of images and log, to stats', atMost(1.2)),
  verify: ratio('verify, to reading every event', atMost(3, 'both')),
  backup: ratio('backup, to reading every event', atMost(3, 'both')),
  restore: ratio('restore, to reading every event', atMost(4, 'both')),
  backupFiles: ours('backup of 10,000 images, files', atMost(300)),
  follow: ratio('follow from zero, to level, for await', atLeast(0.4)),
  snapshotToReplay: ratio('open from a snapshot, to full replay', atLeast(4)),
  followed: ratio('create with 1,010 followers, to without', atLeast(0.9)),
  servedFollowed: ratio('write with 10,000 SSE clients, to none', atLeast(0.9, 'both')),
  memoryOfServedFollowers: ours('memory with 10,000 SSE clients, MB', atMost(300)),
  heapOfFollowers: ours('heap grown with followers, MB', atMost(5)),
  at: ours('at(when) in 1,000,000 events, s', atMost(1)),
  pastOfImages: ours('at and diff in 1,000,000 images, CPU-s', atMost(1, 'cpu')),
  history: ours('history and resolve, 99th percentile, ms', atMost(5)),
  peakOfLoad: ours('peak memory of a load of 1 GiB, MB', atMost(200)),
  servePush: ratio('push 400 MB, to docker-registry', atMost(1.2, 'cpu')),
  serveWarmPush: ratio('push 400 MB again, to docker-registry', atMost(1.2, 'cpu')),
  servePull: ratio('pull 400 MB, to docker-registry', atMost(1.2, 'cpu')),
  servePushMany: ratio('push 1,000 images, to docker-registry', atLeast(2, 'cpu')),
  serveManifest: ratio('manifests a second, to docker-registry', atLeast(1, 'cpu')),
  serveBlob: ratio('blobs a second, to docker-registry', atLeast(0.8, 'cpu')),
  serveFollowed: ratio('push with 10,000 followers, to without', atLeast(0.9, 'cpu')),
  serveFollowerMemory: ours('memory with 10,000 followers, MB', atMost(300)),
  servePeak: ours('peak memory of a push of 1 GB, MB', atMost(200)),
} as const satisfies Readonly<Record<string, NamedTarget>>;
