import { canonicalReference, familiarReference } from '../../model/reference.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { referenceNotFound } from '../query/reference-entry.js';
import { type ReferenceInterval, referenceIntervals } from '../query/reference-intervals.js';
import { printable } from '../render/printable.js';
import { utcText } from '../render/time-text.js';
import { timelineLines } from '../render/timeline.js';

/** `imagelog refs`: every period of a reference, drawn on a line of time. */
export async function refs(context: CommandContext, name: string): Promise<void> {
  await using store = await openFor(context, 'read');
  const reference = canonicalReference(name);
  const filter = { reference, type: ['ReferenceSet', 'ReferenceRemoved'] as const };
  const intervals = await referenceIntervals(store.log.read({ filter, signal: context.signal }));
  if (intervals.length === 0) throw referenceNotFound('cannot tell the past of', reference);
  if (context.json) {
    for (const interval of intervals) await writeJson(context, intervalObject(interval));
    return;
  }
  const { colors, io, out } = context;
  await out.line(colors.bold(printable(familiarReference(reference))));
  const options = { now: io.now(), timeZone: io.timeZone, width: out.columns, colors };
  for (const line of timelineLines(intervals, options)) await out.line(line);
}

function intervalObject(interval: ReferenceInterval): Readonly<Record<string, unknown>> {
  const {
    reference,
    image,
    target,
    platforms,
    from,
    fromSeq,
    actor,
    reason,
    until,
    untilSeq,
    removedBy,
    removedReason,
  } = interval;
  return {
    reference,
    image,
    target: target ?? null,
    platforms: platforms ?? null,
    from: utcText(from),
    until: until === undefined ? null : utcText(until),
    fromSeq,
    untilSeq: untilSeq ?? null,
    actor,
    reason: reason ?? null,
    removedBy: removedBy ?? null,
    removedReason: removedReason ?? null,
  };
}
