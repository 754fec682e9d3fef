import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { parseCheckpoint, verifyCheckpoint } from '../../log/checkpoint.js';
import { parseVerifierKey } from '../../log/note.js';
import { MAX_PAGE_BYTES } from '../../limits.js';
import { countText, printable, sizeText } from '../../model/texts.js';
import { dataBlocks, documentParts } from '../../page/document.js';
import { readTemplate } from '../../server/page/template.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { answer, type CommandContext } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { noticeLine } from '../failure.js';
import { openFor } from '../open-for.js';
import { option, wholeNumber } from '../option-values.js';
import { embedLog } from '../page-blocks.js';
import { progressBar } from '../render/progress.js';
import { trustedKey } from '../trusted.js';

interface PageFlags {
  readonly output?: string;
  readonly verifier?: string;
  readonly limit?: number;
}

/** `imagelog page`: writes the log as one HTML file, which checks and shows it in a browser. */
export const pageGrammar: Grammar = () => ({
  about:
    'One file for any browser, which needs no network: it hashes every record again, checks the tree against the checkpoint, ' +
    'and shows what every name was at any time. Give --key to sign the checkpoint, or --verifier for the key that signed it. ' +
    '`imagelog serve` shows the same at its address.',
  examples: [
    ['imagelog page -o log.html', 'write the page'],
    ['imagelog page -o log.html --key log.key', 'with a checkpoint that is signed'],
    ['imagelog at "last friday" page -o friday.html', 'as the log was then'],
  ],
  options: [
    option('-o, --output <file>', 'the page; `-` is the standard output', nonEmptyText),
    option('--verifier <key>', 'the key that signed the checkpoint, or a file with it', nonEmptyText),
    option('--limit <bytes>', `most bytes of it (${MAX_PAGE_BYTES})`, wholeNumber(1)),
  ],
  action: page,
});

async function page(context: CommandContext, { output, verifier, limit = MAX_PAGE_BYTES }: PageFlags): Promise<void> {
  if (output === undefined)
    throw new UsageError('name the file to write: -o log.html, or -o - for the standard output');
  const { at, keyFile, timeZone, io, files, out, signal } = context;
  // A key signs, also what was.
  await using store = await openFor(context, keyFile === undefined ? 'read' : 'write');
  const progress = progressBar(context, `page ${printable(output)}`, String);
  const point = at === undefined ? undefined : await store.pointAt(at, { timeZone });
  const size = point?.seq ?? store.log.head.seq;
  const template = await readTemplate();
  const { head, tail } = documentParts(template);
  const checkpoint = await store.checkpoint(point?.seq);
  const key = await trustedKey(context, verifier);
  // By a key that did not sign it, every browser would call it wrong.
  if (key !== undefined) await verifyCheckpoint(parseCheckpoint(checkpoint), await parseVerifierKey(key));
  const made = await embedLog(store, {
    size,
    checkpoint,
    key: key ?? store.verifierKey,
    madeAt: io.now(),
    until: point?.time,
    limitBytes: limit,
    templateBytes: Buffer.byteLength(head) + Buffer.byteLength(tail),
    onProgress: progress.update,
  }).finally(progress.end);
  const parts = (): Iterable<string> => [head, ...dataBlocks(made.log, made.blocks), tail];
  const { first, leftOut } = made.log;
  let bytes = 0;
  for (const part of parts()) bytes += Buffer.byteLength(part);
  for (const notice of noticesOf({ events: first - 1, contents: leftOut.contents, bytes, limit }))
    context.err.post(noticeLine(notice, context.errColors));
  if (output === '-') {
    for (const part of parts()) await out.bytes(Buffer.from(part));
    return;
  }
  const writeTo = async (file: FileHandle): Promise<void> => {
    for (const part of parts()) await file.appendFile(part);
    await file.sync();
  };
  await files.write({ writeTo, stream: () => Readable.from(parts()) }, output, signal);
  const shown = size - first + 1;
  await answer(
    context,
    { file: output, events: size, shown, leftOutContents: leftOut.contents },
    `${printable(output)} shows ${countText(shown, 'event')}`,
  );
}

/** What a page lacks, its size, and its limit. */
interface LeftOut {
  readonly events: number;
  readonly contents: number;
  readonly bytes: number;
  readonly limit: number;
}

/** What the limit left out: nothing is dropped silently. */
function* noticesOf({ events, contents, bytes, limit }: LeftOut): Generator<string> {
  const most = `the page may have ${sizeText(limit)} (--limit)`;
  if (bytes > limit) yield `${most}: it has ${sizeText(bytes)}, with the newest events alone`;
  if (events > 0) yield `${most}: of the first ${countText(events, 'event')} it has the hashes alone`;
  if (contents > 0)
    yield `${most}: it lacks ${contents === 1 ? 'one config or manifest' : `${contents} configs or manifests`}`;
}
