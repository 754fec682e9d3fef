import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { pad } from '../render/display-width.js';
import { printable } from '../render/printable.js';
import { sizeText } from '../render/size-text.js';
import { localText, utcText } from '../render/time-text.js';

/** `imagelog stats`: what there is, in numbers. */
export async function stats(context: CommandContext): Promise<void> {
  await using store = await openFor(context, 'read');
  const { directory } = store;
  const { createdAt, lastEventAt, ...numbers } = store.stats();
  if (context.json) {
    const times = {
      createdAt: utcText(createdAt),
      lastEventAt: lastEventAt === undefined ? null : utcText(lastEventAt),
    };
    return writeJson(context, { directory, ...numbers, ...times });
  }
  const { colors, io } = context;
  const rows: (readonly [name: string, value: string])[] = [
    ['directory', printable(directory)],
    ['store id', numbers.storeId],
    ['created', localText(createdAt, io.timeZone)],
    ['last event', lastEventAt === undefined ? 'none' : localText(lastEventAt, io.timeZone)],
    ['events', String(numbers.events)],
    ['images', `${numbers.images}, ${numbers.heads} of them without children`],
    ['references', String(numbers.references)],
    ['layers', `${numbers.layers} in ${numbers.blobs} files of ${sizeText(numbers.blobBytes)}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) await context.out.line(`${colors.bold(pad(name, width))}  ${value}`);
}
