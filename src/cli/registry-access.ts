import type { Option } from 'commander';
import { credentialFinder } from '../registry-client/credentials.js';
import type { RegistryOptions } from '../registry-client/registry-session.js';
import type { UploadResult } from '../registry-client/push.js';
import { familiarReference } from '../model/reference.js';
import { answer, type CommandContext } from './context.js';
import { noticeLine } from './failure.js';
import { option } from './option-values.js';
import { countText, printable, sizeText } from './render/text.js';

/** How a registry is reached, as typed. */
export interface ReachFlags {
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
}

/** The options of a command that reaches one registry. */
export function reachOptions(): Option[] {
  return [
    option('--plain-http', 'no TLS; a loopback address needs no such option'),
    option('--insecure', 'TLS without verifying the certificate'),
  ];
}

/** Whose credentials a session has, and what ends it. */
interface SessionPlace {
  readonly io: Pick<CommandContext['io'], 'env' | 'now'>;
  readonly signal: AbortSignal;
}

/** What every session of a command with a registry has. */
export function sessionOf({ io, signal }: SessionPlace): RegistryOptions {
  return { credentials: credentialFinder(io.env), signal, now: io.now };
}

/** The options of a session as typed; those that were not are left to the host. */
export function reachOf({ plainHttp, insecure }: ReachFlags): Pick<RegistryOptions, 'plainHttp' | 'insecure'> {
  return { ...(plainHttp === true ? { plainHttp } : {}), insecure: insecure === true };
}

/** Prints what a push or copy sent. */
export async function tellUploaded(
  context: CommandContext,
  words: { readonly verb: string; readonly from: string },
  result: UploadResult,
): Promise<void> {
  const { reference, digest, blobs, bytes, referrers, notices } = result;
  for (const notice of notices) await context.err.line(noticeLine(notice, context.errColors));
  const counts = [
    `${countText(blobs.uploaded, 'blob')} (${sizeText(bytes)}) sent`,
    ...(blobs.mounted === 0 ? [] : [`${blobs.mounted} mounted`]),
    ...(blobs.present === 0 ? [] : [`${blobs.present} there already`]),
    ...(referrers === 0 ? [] : [`${countText(referrers, 'artifact')} about it`]),
  ];
  const target = printable(familiarReference(reference));
  const line = `${words.verb} ${printable(words.from)} to ${target}: ${digest}, ${counts.join(', ')}`;
  if (context.quiet && !context.json) await context.out.line(digest);
  else await answer(context, { source: words.from, ...result }, line);
}
