import type { ImagesFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { openReading } from '../open-for.js';
import { allImageFacts, imageFilter } from '../image-facts.js';
import { imageTableLines, imageTreeLines } from '../render/image-table.js';

/** `imagelog images`: a table, a tree, or an object a line. */
export async function images(context: CommandContext, flags: ImagesFlags): Promise<void> {
  await using reading = await openReading(context);
  const { images: source } = reading;
  const filter = imageFilter(flags.filter ?? [], source);
  const shown = allImageFacts(source).filter((facts) => filter.fits(facts) && (facts.head || flags.heads !== true));
  if (context.json) {
    for (const facts of shown) await writeJson(context, facts);
  } else if (context.quiet) {
    for (const { id } of shown) await context.out.line(id);
  } else {
    const options = { colors: context.colors, width: context.out.columns, timeZone: context.io.timeZone };
    const lines = flags.tree === true ? imageTreeLines(shown, options) : imageTableLines(shown, filter, options);
    for (const line of lines) await context.out.line(line);
  }
}
