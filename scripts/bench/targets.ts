import type { Target } from './benchmark.js';

/** A project target with its title in the summary. */
export interface NamedTarget extends Target {
  readonly title: string;
}

const ratio = (title: string, bound: Target['bound'], value: number): NamedTarget => ({
  title,
  of: 'ratio',
  bound,
  value,
});
const ours = (title: string, bound: Target['bound'], value: number): NamedTarget => ({
  title,
  of: 'ours',
  bound,
  value,
});

/**
 * All targets in summary order. Lines refer to one as their `target`; if several share one, the
 * worst counts. A ratio is ours divided by the peer's: high is good for rates, low for times.
 */
export const TARGETS = {
  createToLevel: ratio('create one by one, to level', 'at least', 0.9),
  createToFiles: ratio('create one by one, to files as Docker', 'at least', 1),
  createTogether: ratio('create 64 at once, to one by one', 'at least', 8),
  createTogetherToLevel: ratio('create 64 at once, to level, an array', 'at least', 0.65),
  appendToLevel: ratio('append in hundreds, to level, an array', 'at least', 0.6),
  appendToEmmett: ratio('append in hundreds, to Emmett + SQLite', 'at least', 3),
  appendToHypercore: ratio('append in hundreds, to hypercore', 'at least', 1),
  replayChecked: ratio('replay, checked, to level, for await', 'at least', 0.45),
  replayUnchecked: ratio('replay, unchecked, to level, for await', 'at least', 0.6),
  openToFiles: ratio('open 100,000, to files as Docker', 'at least', 40),
  mapToFiles: ratio('map() of 100,000, to files', 'at least', 200),
  headsToFiles: ratio('heads() of 100,000, to files', 'at least', 200),
  getCold: ratio('get cold, to files', 'at least', 3),
  getWarm: ratio('get warm, to files', 'at least', 20),
  search: ours('search by prefix, a second', 'at least', 1_500_000),
  children: ours('children, a second', 'at least', 1_500_000),
  memory: ours('heap an image at 1,000,000, bytes', 'at most', 450),
  disk: ratio('disk an event, to its bytes', 'at most', 1.6),
  loadPlain: ratio('load 384 MiB plain, to the floor', 'at most', 1.3),
  loadGzip: ratio('load 384 MiB gzip, to the floor', 'at most', 1.3),
  loadPlainToSkopeo: ratio('load 384 MiB plain, to skopeo', 'at most', 1),
  loadGzipToSkopeo: ratio('load 384 MiB gzip, to skopeo', 'at most', 1),
  save: ratio('save 384 MiB, to the floor', 'at most', 1.3),
  importLibrary: ours('import of the library, ms', 'at most', 120),
  help: ours('imagelog --help, ms', 'at most', 200),
  follow: ratio('follow from zero, to level, for await', 'at least', 0.4),
  snapshotToReplay: ratio('open from a snapshot, to full replay', 'at least', 4),
  followed: ratio('create with 1,010 followers, to without', 'at least', 0.9),
  heapOfFollowers: ours('heap grown with followers, MB', 'at most', 5),
  at: ours('at(when), seconds', 'at most', 1),
  history: ours('history and resolve, 99th percentile, ms', 'at most', 5),
  peakOfLoad: ours('peak memory of a load of 1 GiB, MB', 'at most', 200),
  imagesToDocker: ratio('images, to docker images', 'at most', 4),
  resolveToDocker: ratio('resolve, to docker images', 'at most', 4),
  lastLogToDocker: ratio('log -n 1, to docker images', 'at most', 4),
  imagesToDockerOn24: ratio('images on Node 24, to docker images', 'at most', 3),
  resolveToDockerOn24: ratio('resolve on Node 24, to docker images', 'at most', 3),
  lastLogToDockerOn24: ratio('log -n 1 on Node 24, to docker images', 'at most', 3),
  loadManyToDockerd: ratio('load 300 small images, to dockerd', 'at least', 16),
  loadMany: ratio('load 300 small images, to cp and sync', 'at most', 3),
} as const satisfies Readonly<Record<string, NamedTarget>>;
