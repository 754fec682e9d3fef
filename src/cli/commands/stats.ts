import type { StoreStats } from '../../store/event-store.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { openReading, type Reading } from '../open-for.js';
import { pad, widest } from '../render/display-width.js';
import { printable, sizeText, utcText } from '../../model/texts.js';
import { zonedText } from '../render/times.js';

/** `imagelog stats`: store statistics, now or in the past. */
export const statsGrammar: Grammar = () => ({
  examples: [
    ['imagelog stats', 'count images, references, layers and events'],
    ['imagelog stats --json | jq .blobBytes', 'take one number'],
  ],
  action: stats,
});

async function stats(context: CommandContext): Promise<void> {
  await using reading = await openReading(context);
  const { directory } = reading.store;
  const { createdAt, lastEventAt, ...numbers } = statsOf(reading);
  if (context.json) {
    const times = {
      createdAt: utcText(createdAt),
      lastEventAt: lastEventAt === undefined ? null : utcText(lastEventAt),
    };
    return await writeJson(context, { directory, ...numbers, ...times });
  }
  const { colors, timeZone } = context;
  const { blobs, blobBytes } = numbers;
  const files = blobs === null || blobBytes === null ? '' : ` in ${blobs} files of ${sizeText(blobBytes)}`;
  const rows: (readonly [name: string, value: string])[] = [
    ['directory', printable(directory)],
    ['store id', numbers.storeId],
    ['created', zonedText(createdAt, timeZone)],
    ['last event', lastEventAt === undefined ? 'none' : zonedText(lastEventAt, timeZone)],
    ['events', String(numbers.events)],
    ['images', `${numbers.images}, ${numbers.heads} of them without children`],
    ['references', String(numbers.references)],
    ['artifacts', String(numbers.artifacts)],
    ['layers', `${numbers.layers}${files}`],
    ...(numbers.pulls === 0 ? [] : [['pulls', String(numbers.pulls)] as const]),
  ];
  for (const name of numbers.damagedLogs)
    rows.push(['damaged log', `${name}; remove the folder when you no longer need it`]);
  const width = widest(rows.map(([name]) => name));
  for (const [name, value] of rows) await context.out.line(`${colors.bold(pad(name, width))}  ${value}`);
}

/** Statistics with null where the past number of files is unknown. */
interface PastStats extends Omit<StoreStats, 'blobs' | 'blobBytes'> {
  readonly blobs: number | null;
  readonly blobBytes: number | null;
}

function statsOf({ store, images, seq, eventTime, isPast }: Reading): PastStats {
  const present = store.stats();
  if (!isPast) return present;
  return {
    ...present,
    events: seq,
    images: images.len(),
    heads: images.heads().size,
    references: images.referenceEntries().length,
    artifacts: images.artifacts().length,
    layers: images.layers.map().size,
    blobBytes: null,
    blobs: null,
    lastEventAt: eventTime,
  };
}
