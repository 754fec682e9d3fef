import { canonicalReference } from '../../model/reference.js';
import type { ReferenceInterval } from '../../store/past/audit.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { openReading } from '../open-for.js';
import { referenceName } from '../option-values.js';
import { intervalsUpTo, referenceNotFound, referencePeriods } from '../query.js';
import { utcText } from '../render/text.js';
import { timelineLines } from '../render/timeline.js';

/** `imagelog refs`: draws the life of a reference; `--json` prints its non-empty periods. */
export const refsGrammar: Grammar = () => ({
  about:
    'Prints its image, draws its history on a strip of time, and gives each period a row, the newest first. ' +
    'With --json the oldest first: one object for each period in which it pointed at an image.',
  examples: [
    ['imagelog refs shop/app:prod', 'draw what it pointed at, when, and by whom'],
    ['imagelog refs --json shop/app:prod', 'the same for a program, with times in UTC'],
  ],
  arguments: [['the reference', referenceName]],
  paged: () => true,
  action: refs,
});

async function refs(context: CommandContext, name: string): Promise<void> {
  await using reading = await openReading(context);
  const reference = canonicalReference(name);
  const intervals = intervalsUpTo(await reading.store.referenceHistory(reference), reading.seq);
  if (intervals.length === 0) throw referenceNotFound('cannot tell the past of', reference);
  if (context.json) {
    for (const interval of intervals) await writeJson(context, intervalObject(interval));
    return;
  }
  const { colors, io, out } = context;
  const options = { now: reading.time, isPresent: !reading.isPast, timeZone: io.timeZone, width: out.columns, colors };
  for (const line of timelineLines(reference, referencePeriods(intervals), options)) await out.line(line);
}

function intervalObject(interval: ReferenceInterval): Readonly<Record<string, unknown>> {
  const { reference, image, previous, previousTarget, target, platforms, from, until, seq, untilSeq } = interval;
  const { actor, reason, requestId, removedBy, removedReason } = interval;
  return {
    reference,
    image: image ?? null,
    previous: previous ?? null,
    ...(previousTarget === undefined ? {} : { previousTarget }),
    target: target ?? null,
    platforms: platforms ?? null,
    from: utcText(from),
    until: until === undefined ? null : utcText(until),
    seq,
    untilSeq: untilSeq ?? null,
    actor,
    reason: reason ?? null,
    requestId: requestId ?? null,
    removedBy: removedBy ?? null,
    removedReason: removedReason ?? null,
  };
}
