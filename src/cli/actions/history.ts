import { type CommandContext, writeJson } from '../context.js';
import { openReading } from '../open-for.js';
import { buildSteps } from '../image-facts.js';
import { findImage } from '../query.js';
import { historyTableLines } from '../render/image-table.js';
import { utcText } from '../render/text.js';

/** `imagelog history`: the build steps of an image, the last one first. */
export async function history(context: CommandContext, name: string): Promise<void> {
  await using reading = await openReading(context);
  const { images } = reading;
  const steps = buildSteps(images.get(findImage(images, name).id), images.layers.map()).reverse();
  if (context.json) {
    for (const { created, ...step } of steps) {
      await writeJson(context, { created: created === null ? null : utcText(created), ...step });
    }
    return;
  }
  const options = { colors: context.colors, width: context.out.columns, timeZone: context.io.timeZone };
  for (const line of historyTableLines(steps, options)) await context.out.line(line);
}
