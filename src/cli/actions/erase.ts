import type { EraseFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { sizeText } from '../render/text.js';
import { UsageError } from '../exit-codes.js';

/** `imagelog erase`: removes the bytes of one digest for good, and keeps in the log that it did. */
export async function erase(context: CommandContext, digest: string, flags: EraseFlags): Promise<void> {
  const { reason, ...write } = context.write;
  if (reason === undefined || reason.trim() === '') {
    throw new UsageError('erase needs --reason TEXT: it is what the log says in place of the bytes');
  }
  await using store = await openFor(context, 'free');
  const { size, layers, damagedLogs, seq } = await store.erase(digest, reason, { ...write, ...flags });
  const chains = layers.map(({ chainId }) => chainId);
  if (context.json) return await writeJson(context, { erased: digest, size, layers: chains, damagedLogs, seq });
  if (context.quiet) return;
  const removed =
    chains.length === 0 ? '' : `, and ${chains.length} layer${chains.length === 1 ? '' : 's'} that nothing used`;
  await context.out.line(`erased ${context.colors.yellow(digest)}, ${sizeText(size)}${removed} (event ${seq})`);
  for (const name of damagedLogs) await context.out.line(`removed ${name}`);
}
