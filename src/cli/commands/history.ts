import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { buildSteps } from '../../model/history.js';
import { openReading, tellDeciding } from '../open-for.js';
import { findImage } from '../query.js';
import { historyTableLines } from '../render/image-table.js';

/** `imagelog history`: build steps of an image, last first. */
export const historyGrammar: Grammar = () => ({
  about: 'One row a build step, the last step first, with the size of the layer that it made.',
  examples: [
    ['imagelog history shop/app:1.0', 'show the build steps and what each one added'],
    ['imagelog history --json shop/app:1.0', 'the same for a program, with times in UTC'],
  ],
  arguments: [['a reference, an id or the first digits of an id']],
  action: history,
});

async function history(context: CommandContext, name: string): Promise<void> {
  await using reading = await openReading(context, { tells: false });
  const { images } = reading;
  const { id, reference } = findImage(images, name);
  const steps = buildSteps(images.get(id), images.layers.map()).reverse();
  await tellDeciding(context, reading, [reference]);
  if (context.json) {
    for (const step of steps) await writeJson(context, step);
    return;
  }
  const options = { colors: context.colors, width: context.out.columns, timeZone: context.timeZone };
  for (const line of historyTableLines(steps, options)) await context.out.line(line);
}
