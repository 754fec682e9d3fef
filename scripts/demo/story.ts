import { shortId, sizeText } from '../../src/model/texts.js';
import { type EventStore, isStoreError, openStore } from '../../src/index.js';
import { fixtureArchive } from './fixture-archive.js';
import { narrated } from './narrated.js';
import type { Stage } from './stage.js';
import { aroundLastTuesday, type StoryClock, storyClock, weekFrom } from './story-clock.js';

/** Monday morning, after the newest archive image was built. */
const BEGIN = Date.UTC(2024, 2, 4, 9);
const TAG = 'shop/app:prod';

interface Scene {
  readonly stage: Stage;
  readonly clock: StoryClock;
  /** For queries not shown. */
  readonly store: EventStore;
  /** The same store; every call is shown. */
  readonly shown: EventStore;
}

/**
 * Plays a week of a store in `directory`, which is empty: changes by the library, then reads by the
 * command line. Always closes the store. Throws if anything deviates from the story.
 */
export async function tellStory(
  stage: Stage,
  directory: string,
  { isKept }: { readonly isKept: boolean },
): Promise<void> {
  const { timeAt, betweenReleases } = isKept ? aroundLastTuesday(Date.now()) : weekFrom(BEGIN);
  const clock = storyClock(timeAt);
  stage.line(stage.colors.bold('imagelog: a container image store that never forgets'));
  stage.say(
    `A week of releases, in ${isKept ? 'a folder that stays' : 'a temporary folder'}. The days pass by an injected ` +
      'clock; each line below a call is what the store answered. Ids are cut to 12 digits, times are UTC.',
  );
  const between = new Date(betweenReleases).toISOString().slice(0, '2024-03-06T12:00'.length);
  await changeStore(stage, directory, clock);
  await readFolder(stage, directory, { clock, between });
  stage.line();
  if (isKept) sayWhatToTry(stage, directory);
  else stage.say('The folder goes now; `npm run demo -- --keep DIR` keeps it. Next: README.md');
  await stage.flush();
}

function sayWhatToTry(stage: Stage, directory: string): void {
  stage.say('The store stays. Ask it:');
  stage.line(`export IMAGELOG_STORE='${directory.replaceAll("'", "'\\''")}'`);
  for (const words of [
    `refs ${TAG}`,
    `log --reference ${TAG}`,
    "at 'last tuesday' images",
    'verify',
    'page -o log.html',
    'help',
  ])
    stage.line(`node dist/src/cli/main.js ${words}`);
}

async function changeStore(stage: Stage, directory: string, clock: StoryClock): Promise<void> {
  await using store = await openStore(directory, { actor: 'ana', now: clock.now });
  const scene = { stage, clock, store, shown: narrated(store, 'store', stage) };
  const acts = [loadArchives, setTag, moveTag, askTheImpossible, deleteImage];
  for (const act of acts) {
    await act(scene);
    await stage.flush();
  }
}

async function loadArchives({ stage, clock, store, shown }: Scene): Promise<void> {
  stage.act('Load what docker and others saved', clock);
  for (const [name, what] of [
    ['docker25-all.tar', 'What `docker save` wrote: configs, layers, parents and tags in one transaction.'],
    ['oci-multi-platform.tar', 'An OCI image layout: one tag for two platforms.'],
  ] as const) {
    stage.say(what);
    const before = store.log.head.seq;
    const { format, images, layersAdded, references, notices, seq } = await shown.load(fixtureArchive(name));
    const created = images.filter((image) => image.created).length;
    stage.result(
      `${format} archive: ${count(images.length, 'image')}, ${created} new; ${count(layersAdded, 'new layer')}; ` +
        `${count(references.length, 'tag')}; ${count(seq - before, 'event')}`,
    );
    for (const notice of notices) stage.result(notice);
  }
}

async function setTag({ stage, clock, store, shown }: Scene): Promise<void> {
  clock.pass(25);
  stage.act('Release 1.0: set a tag, and say why', clock);
  await shown.tag({ source: store.resolve('shop/app:1.0'), target: TAG }, { reason: 'release 1.0' });
  stage.result(`${TAG} is ${shortId(store.resolve(TAG))}`);
}

async function moveTag({ stage, clock, store, shown }: Scene): Promise<void> {
  clock.pass(52);
  stage.act('Release 2.0: a pipeline moves the tag', clock);
  const before = store.resolve(TAG);
  await shown.tag(
    { source: store.resolve('shop/app:2.0'), target: TAG },
    { actor: 'ci@build-7', reason: 'release 2.0', requestId: 'INC-77' },
  );
  stage.result(`${TAG} is ${shortId(store.resolve(TAG))}, was ${shortId(before)}`);
}

async function askTheImpossible({ stage, clock, store, shown }: Scene): Promise<void> {
  clock.pass(1);
  stage.act('What cannot be is refused, and changes nothing', clock);
  const { seq } = store.log.head;
  stage.say('An image cannot descend from its own descendant:');
  await refused(stage, () => shown.setParent(store.resolve('tiny:1'), store.resolve('shop/app:2.0')));
  stage.say('A prefix of two ids names neither:');
  await refused(stage, () => shown.search('6'));
  stage.say(`The log is ${count(store.log.head.seq - seq, 'event')} longer than before.`);
}

async function refused(stage: Stage, attempt: () => unknown): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (!isStoreError(error)) throw error;
    stage.refusal(error);
    return;
  }
  throw new Error('the store did what it was expected to refuse');
}

async function deleteImage({ stage, clock, store, shown }: Scene): Promise<void> {
  clock.pass(22);
  stage.act('Delete an image', clock);
  stage.say('Its tags go with it, and the layers that no other image uses:');
  const before = store.len();
  const layers = await shown.delete(store.resolve('twice:1'), { reason: 'nobody runs it' });
  stage.result(`${before} images before, ${store.len()} now; ${count(layers.length, 'layer')} gone:`);
  for (const { chainId, diffSize } of layers) stage.result(`${shortId(chainId)} of ${sizeText(diffSize)}`);
  stage.say('The prefix that named two images names one:');
  stage.result(shown.search('6'));
}

async function readFolder(
  stage: Stage,
  directory: string,
  { clock, between }: { readonly clock: StoryClock; readonly between: string },
): Promise<void> {
  clock.pass(96);
  stage.act('What is there now', clock);
  stage.say('The store is closed. The command line opens the same folder and folds its log again.');
  await stage.commandLine(['images'], directory, clock);
  stage.act('What was made from what', clock);
  await stage.commandLine(['images', '--tree'], directory, clock);
  stage.act('What happened since the archives came', clock);
  stage.say('A line for each transaction: all of it was written, or nothing. `--events` unfolds it.');
  await stage.commandLine(['log', '--since', '8d'], directory, clock);
  stage.act(`What ${TAG} pointed at before`, clock);
  stage.say('Each period of the tag, from the event that began it to the one that ended it; by whom, and why.');
  await stage.commandLine(['refs', TAG], directory, clock);
  stage.act('What was there between the releases', clock);
  stage.say('Any reading command, as of any moment: also of images that were deleted since.');
  await stage.commandLine(['resolve', TAG, '--at', between], directory, clock);
  await stage.commandLine(['at', between, 'images', '--tree'], directory, clock);
  stage.act('What changed since', clock);
  await stage.commandLine(['diff', between, 'now'], directory, clock);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
