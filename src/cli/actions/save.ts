import { pipeline } from 'node:stream/promises';
import type { SaveFlags } from '../command-flags.js';
import { type FileContent, writeArchiveFile } from '../archive-target.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { printable, sizeText } from '../render/text.js';
import { type Progress, progressBar } from '../render/progress.js';
import { UsageError } from '../exit-codes.js';

/** `imagelog save`: writes an archive to a file, whole or not at all, or to the standard output. */
export async function save(context: CommandContext, names: readonly string[], flags: SaveFlags): Promise<void> {
  const { output = '-', format } = flags;
  if (output === '-' && context.out.isTerminal) {
    throw new UsageError('an archive is not for a terminal: name a file with -o, or give it to a program');
  }
  await using store = await openFor(context, 'read');
  const progress = progressBar(context, output === '-' ? 'saving' : printable(output));
  let written = 0;
  const count: Progress['update'] = (bytes, total) => {
    written = bytes;
    progress.update(bytes, total);
  };
  try {
    const { signal } = context;
    const options = { format, onProgress: count, signal };
    const archive: FileContent = {
      writeTo: (file) => store.saveTo(file, names, options),
      stream: () => store.save(names, options),
    };
    if (output === '-') await pipeline(archive.stream(), context.out.stream, { end: false, signal });
    else await writeArchiveFile(archive, output, signal);
  } finally {
    progress.end();
  }
  if (output !== '-') await tell(context, names, { output, format, bytes: written });
}

async function tell(
  context: CommandContext,
  names: readonly string[],
  { output, format, bytes }: { readonly output: string; readonly format: string; readonly bytes: number },
): Promise<void> {
  if (context.json) return await writeJson(context, { file: output, format, names, bytes });
  if (!context.quiet)
    await context.out.line(`saved ${names.map(printable).join(', ')} to ${printable(output)}, ${sizeText(bytes)}`);
}
