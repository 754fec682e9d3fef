import { pipeline } from 'node:stream/promises';
import type { FileContent } from '../archive-target.js';
import type { Grammar } from '../command.js';
import { wholeReference } from '../cut-reference.js';
import { answer, type CommandContext } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { noticeLine } from '../failure.js';
import { openFor } from '../open-for.js';
import { option, platformNames } from '../option-values.js';
import { type Progress, progressBar } from '../render/progress.js';
import { printable, sizeText } from '../render/text.js';

interface SaveFlags {
  readonly output?: string;
  readonly format: 'docker' | 'oci';
  readonly platform?: readonly string[];
}

/** `imagelog save`: writes an archive to a file (atomically) or standard output. */
export const saveGrammar: Grammar = () => ({
  about:
    'The same images give the same bytes. A file appears whole or not at all. A name without a tag saves all of its ' +
    'tags. A name is saved with its index, attestations, signatures and other artifacts, and keeps its digest.',
  examples: [
    ['imagelog save shop/app:1.0 -o app.tar', 'save one image'],
    ['imagelog save shop/app shop/db:3 -o shop.tar', 'save every tag of one name, and one of another'],
    ['imagelog save --format oci shop/app:1.0 -o app-oci.tar', 'save as an OCI image layout'],
    ['imagelog save --platform linux/arm64 shop/app:1.0 -o arm64.tar', 'save one platform, with a smaller index'],
    ['imagelog save shop/app:1.0 | docker load', 'give it to Docker'],
  ],
  arguments: [['references, ids, or the first digits of ids or digests']],
  options: [
    option('-o, --output <file>', 'the archive; `-`, or none, is the standard output'),
    option('--format <format>', 'layout of the archive').choices(['docker', 'oci']).default('docker'),
    option('--platform <platform>', 'only this platform of multi-platform images; repeatable', platformNames),
  ],
  action: save,
});

async function save(context: CommandContext, typed: readonly string[], flags: SaveFlags): Promise<void> {
  const { output = '-', format, platform } = flags;
  if (output === '-' && context.out.isTerminal) {
    throw new UsageError('an archive is not for a terminal: name a file with -o, or give it to a program');
  }
  await using store = await openFor(context, 'read');
  const names = typed.map((name) => wholeReference(name, store) ?? name);
  const progress = progressBar(context, output === '-' ? 'save' : `save ${printable(output)}`);
  let written = 0;
  const notices: string[] = [];
  const count: Progress['update'] = (bytes, total) => {
    written = bytes;
    progress.update(bytes, total);
  };
  try {
    const { signal } = context;
    const onNotice = (notice: string): void => void notices.push(notice);
    const options = { format, platform, onProgress: count, onNotice, signal };
    const archive: FileContent = {
      writeTo: (file) => store.saveTo(file, names, options),
      stream: () => store.save(names, options),
    };
    if (output === '-') await pipeline(archive.stream(), context.out.stream, { end: false, signal });
    else await context.files.write(archive, output, signal);
  } finally {
    progress.end();
  }
  for (const notice of notices) await context.err.line(noticeLine(notice, context.errColors));
  if (output === '-') return;
  const saved = `saved ${names.map(printable).join(', ')} to ${printable(output)}, ${sizeText(written)}`;
  await answer(context, { file: output, format, names, bytes: written }, saved);
}
