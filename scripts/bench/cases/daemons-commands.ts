import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured, Target } from '../benchmark.js';
import { MILLISECONDS, type TimedSide, timedLines } from '../daemons/daemon-lines.js';
import { type EngineKind, type NamingEngine, outputOf, usableKinds, withLoaded } from '../daemons/engine.js';
import { CONTAINERD, DOCKERD, PODMAN } from '../daemons/kinds.js';
import { IMAGELOG, imagelogOn, nodeAmongPeers, type NodeRelease, THIS_NODE } from '../daemons/our-program.js';
import { plainImageName, writePlainImages } from '../inputs/random-archive.js';
import { interleave, type Side, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const ARCHIVE = 'five.tar';
const IMAGES = 5;
const FILE_BYTES = 4_096;
/** Commands in a row each round: processor time has steps of 10 ms, and Node takes many. */
const IN_A_ROW = 10;
const NODE_IN_A_ROW = 2;

const COMMANDS = {
  images: ['images'],
  resolve: ['resolve', plainImageName(0)],
  'log -n 1': ['log', '-n', '1'],
} as const;
type Command = keyof typeof COMMANDS;

const TARGETS_OF: Readonly<Record<Command, readonly [onNode20: Target, onNode24: Target]>> = {
  images: [TARGETS.imagesToDocker, TARGETS.imagesToDockerOn24],
  resolve: [TARGETS.resolveToDocker, TARGETS.resolveToDockerOn24],
  'log -n 1': [TARGETS.lastLogToDocker, TARGETS.lastLogToDockerOn24],
};

/** Of one command. */
type Sides = Record<string, Side<Timed>>;
type Times = Readonly<Record<string, readonly Timed[]>>;

/** A small store asked and tagged by whole processes, beside daemons with the same five images. */
export const daemonsCommandsBenchmark: Benchmark = {
  name: 'daemons-commands',
  about: 'images, resolve, log -n 1 and tag on five images, a process each, against docker, ctr and podman',
  async run(context) {
    const kinds = [IMAGELOG, ...(await usableKinds([DOCKERD, CONTAINERD, PODMAN], context))];
    const archive = join(context.directory, ARCHIVE);
    await writePlainImages(archive, { images: IMAGES, fileBytes: FILE_BYTES, seed: 7 });
    return withLoaded(kinds, { archive, count: IMAGES }, async (engines) => {
      return [...(await measureQuestions(context, engines)), ...(await measureTags(context, engines, kinds))];
    });
  },
};

async function measureQuestions(
  { rounds, leaveOut }: BenchContext,
  [program, ...peers]: readonly NamingEngine[],
): Promise<Measured[]> {
  const releases = [THIS_NODE, ...newerNode(leaveOut)];
  const sides: Sides = {};
  for (const engine of peers) sides[engine.name] = () => each(IN_A_ROW, () => engine.images(), engine.pids);
  for (const node of releases) {
    const imagelog = imagelogOn(node, program?.folder ?? '');
    sides[nodeAlone(node)] = () => each(NODE_IN_A_ROW, () => outputOf(node.path, ['-e', '0']));
    for (const [command, args] of Object.entries(COMMANDS))
      sides[onNode(command, node)] = () => each(NODE_IN_A_ROW, () => imagelog(...args));
  }
  const times = await interleave(rounds, sides);
  return releases.flatMap((node) =>
    linesOf(
      node,
      times,
      peers.map(({ name }) => name),
    ),
  );
}

function linesOf(node: NodeRelease, times: Times, peers: readonly string[]): Measured[] {
  const peersFor = (target?: Target): TimedSide[] =>
    peers.map((name) => {
      const isJudged = name === DOCKERD.name;
      return { name: QUESTION_OF[name] ?? name, values: times[name] ?? [], target: isJudged ? target : undefined };
    });
  const commands = Object.keys(COMMANDS) as Command[];
  return [
    ...commands.flatMap((command) => {
      const [on20, on24] = TARGETS_OF[command];
      const ours = times[onNode(command, node)] ?? [];
      const name = `imagelog ${command}, Node ${node.major}`;
      return timedLines(name, MILLISECONDS, ours, peersFor(node.major < NEWER_NODE ? on20 : on24));
    }),
    ...timedLines(nodeAlone(node), MILLISECONDS, times[nodeAlone(node)] ?? [], peersFor()),
  ];
}

/** The peers have no name for one image and no log: their list is what each question is compared with. */
const QUESTION_OF: Readonly<Record<string, string>> = {
  [DOCKERD.name]: 'docker images',
  [CONTAINERD.name]: 'ctr images ls',
  [PODMAN.name]: 'podman images',
};

/** From here on Node keeps compiled code. */
const NEWER_NODE = 24;

function newerNode(leaveOut: BenchContext['leaveOut']): NodeRelease[] {
  const found = THIS_NODE.major >= NEWER_NODE ? undefined : nodeAmongPeers();
  if (found === undefined && THIS_NODE.major < NEWER_NODE)
    leaveOut(`Node ${NEWER_NODE}`, '`npm run peers` installs it');
  return found === undefined ? [] : [found];
}

function onNode(command: string, { major }: NodeRelease): string {
  return `${command}, Node ${major}`;
}

function nodeAlone({ major }: NodeRelease): string {
  return `node -e 0, Node ${major}`;
}

/** One more name each time; ours also through the library, on a store that is open. */
async function measureTags(
  { directory, rounds }: BenchContext,
  engines: readonly NamingEngine[],
  kinds: readonly EngineKind[],
): Promise<Measured[]> {
  await using store = await openStore(join(directory, 'library'));
  await store.load(join(directory, ARCHIVE));
  const nameOf = (round: number, at: number): string => `bench/tagged:${round}-${at}`;
  const sides: Sides = {
    library: (round) => each(IN_A_ROW, (at) => store.tag({ source: plainImageName(0), target: nameOf(round, at) })),
  };
  for (const engine of engines) {
    const calls = engine.name === IMAGELOG.name ? NODE_IN_A_ROW : IN_A_ROW;
    sides[engine.name] = (round) => each(calls, (at) => engine.tag(plainImageName(0), nameOf(round, at)), engine.pids);
  }
  const times = await interleave(rounds, sides);
  const peers = kinds
    .filter(({ name }) => name !== IMAGELOG.name)
    .map(({ name, settings }) => ({ name, values: times[name] ?? [], settings }));
  return [
    ...timedLines('imagelog tag', MILLISECONDS, times[IMAGELOG.name] ?? [], peers),
    ...timedLines('store.tag, in an open store', MILLISECONDS, times['library'] ?? [], peers),
  ];
}

/** Time of one of `calls` in a row. */
async function each(calls: number, work: (at: number) => unknown, pids: readonly number[] = []): Promise<Timed> {
  const { wall, cpu } = await timeOf(async () => {
    for (let at = 0; at < calls; at++) await work(at);
  }, pids);
  return { wall: wall / calls, cpu: cpu / calls };
}
