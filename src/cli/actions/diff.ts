import type { When } from '../../store/past/audit.js';
import { type CommandContext, isForPeople, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { changesOf, type StoreChange } from '../store-changes.js';
import { diffLines } from '../render/diff-lines.js';
import { localText, utcText } from '../render/text.js';
import { whenIn } from '../when.js';

/** `imagelog diff`: what changed between two points in time, by kind; with `--json` an object a change. */
export async function diff(context: CommandContext, from: When, to: When): Promise<void> {
  await using store = await openFor(context, 'read');
  const { out, err, colors, errColors, io, signal } = context;
  const between = await store.diff(whenIn(store, from), whenIn(store, to), { signal });
  const changes = changesOf(between);
  if (context.json) {
    for (const change of changes) await writeJson(context, changeObject(change));
    return;
  }
  if (isForPeople(context)) {
    const point = ({ seq, time }: typeof between.from): string =>
      seq === 0 ? 'the beginning' : `event ${seq} of ${localText(time, io.timeZone)}`;
    await err.line(errColors.dim(`from ${point(between.from)} to ${point(between.to)}`));
    if (changes.length === 0) await err.line('nothing is different');
  }
  for (const line of diffLines(changes, { colors, width: out.columns, timeZone: io.timeZone })) await out.line(line);
}

function changeObject({ kind, change, key, before, after, event }: StoreChange): Readonly<Record<string, unknown>> {
  return {
    kind,
    change,
    key,
    before: before?.value ?? null,
    after: after?.value ?? null,
    seq: event.seq,
    time: utcText(event.time),
    actor: event.actor,
    reason: event.reason ?? null,
    requestId: event.requestId ?? null,
  };
}
