import type { When } from '../../store/past/audit.js';
import type { EventStore } from '../../store/event-store.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { localText, printable, utcText } from '../render/text.js';
import { type Column, tableLines } from '../render/table.js';
import { whenIn } from '../when.js';

/** `imagelog consumers`: each named subscriber and how far it is. */
export async function consumers(context: CommandContext): Promise<void> {
  await using store = await openFor(context, 'read');
  const { out, colors, io, json, quiet } = context;
  const states = await store.consumers();
  if (json) {
    for (const { name, position, behind, updatedAt } of states) {
      await writeJson(context, {
        name,
        position,
        behind,
        updatedAt: updatedAt === undefined ? null : utcText(updatedAt),
      });
    }
    return;
  }
  if (quiet) {
    for (const { name } of states) await out.line(printable(name));
    return;
  }
  const columns: Column[] = [
    { title: 'CONSUMER', shrinksTo: 12 },
    { title: 'POSITION', align: 'right' },
    { title: 'BEHIND', align: 'right' },
    { title: 'UPDATED', goes: 1, paint: colors.dim },
  ];
  const rows = states.map(({ name, position, behind, updatedAt }) => [
    name,
    String(position),
    String(behind),
    updatedAt === undefined ? '-' : localText(updatedAt, io.timeZone),
  ]);
  for (const line of tableLines(columns, rows, { colors, width: out.columns })) await out.line(line);
}

/** `imagelog consumers reset`: makes a consumer go on after a point in time, by default from the beginning. */
export async function resetConsumer(
  context: CommandContext,
  name: string,
  { to = 0 }: { readonly to?: When },
): Promise<void> {
  await using store = await openFor(context, 'write');
  const position = await seqAt(store, to, context.signal);
  await store.resetConsumer(name, position);
  if (context.json) return await writeJson(context, { name, position });
  if (!context.quiet) await context.out.line(`${printable(name)} goes on with event ${position + 1}`);
}

/** `imagelog consumers rm`: forgets a consumer. */
export async function removeConsumer(context: CommandContext, name: string): Promise<void> {
  await using store = await openFor(context, 'write');
  await store.removeConsumer(name);
  if (context.json) return await writeJson(context, { removed: name });
  if (!context.quiet) await context.out.line(`removed ${printable(name)}`);
}

async function seqAt(store: EventStore, to: When, signal: AbortSignal): Promise<number> {
  const when = whenIn(store, to);
  return typeof when === 'number' ? when : (await store.at(when, { signal })).seq;
}
