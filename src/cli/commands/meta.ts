import { MAX_RECORD_BYTES } from '../../limits.js';
import type { ImageId } from '../../model/digest.js';
import { metadataNotFound } from '../../store/commands/metadata.js';
import type { Grammar } from '../command.js';
import { answer, type CommandContext, writeJson } from '../context.js';
import { metadataFields, metadataText } from '../../log/event-json.js';
import { UsageError } from '../exit-codes.js';
import { DOCKER_KEYS, dockerMetadata } from '../image-facts.js';
import { openFor, openReading, type Reading } from '../open-for.js';
import { option } from '../option-values.js';
import { findImage } from '../query.js';
import { tableLines } from '../render/table.js';
import { shortId, sizeText } from '../../model/texts.js';
import { readInput } from '../trusted.js';

interface MetaFlags {
  readonly delete?: boolean;
  readonly file?: string;
}

/** `imagelog meta`: lists, prints, sets and deletes metadata of one image. */
export const metaGrammar: Grammar = () => ({
  about:
    'Without a key lists all, with the value where it is text. KEY prints its value, to a file or a pipe byte for byte, ' +
    'and exits with 3 if it is absent. KEY=VALUE sets it, to all after the first =; KEY --file FILE to the bytes of a file, - is ' +
    'the standard input. parent, lastUpdated and builtLocally are of Docker, shown by their meaning and not set here.',
  examples: [
    ['imagelog meta shop/app:1.0', 'list the metadata of an image'],
    ['imagelog meta shop/app:1.0 ticket', 'print one value'],
    ['imagelog meta --reason "release 7" shop/app:1.0 ticket=INC-77', 'set a value, and keep why'],
    ['imagelog meta shop/app:1.0 report --file report.json', 'set a value to what a file has'],
    ['imagelog meta shop/app:1.0 --delete ticket', 'delete a value'],
    ['imagelog meta --at 2d shop/app:1.0 ticket', 'print what it was two days ago'],
  ],
  arguments: [['a reference, an id, or the first digits of an id'], ['KEY, or KEY=VALUE to set it']],
  options: [
    option('--file <file>', 'set KEY to the bytes of this file, - for the standard input'),
    option('--delete', 'delete KEY'),
  ],
  action: meta,
});

async function meta(context: CommandContext, name: string, term: string | undefined, flags: MetaFlags): Promise<void> {
  const request = requestOf(term, flags);
  if (request.does === 'set' || request.does === 'delete') {
    if (context.at !== undefined) throw new UsageError('the past does not change: --at only shows metadata');
    if (DOCKER_KEYS.has(request.key)) throw new UsageError(`${request.key} is Docker's own and not set as metadata`);
    const value = request.does === 'delete' ? undefined : await bytesOf(context, request);
    return await change(context, name, request.key, value);
  }
  await using reading = await openReading(context);
  const { id } = findImage(reading.images, name);
  if (request.does === 'get') await print(context, reading, id, request.key);
  else await list(context, reading, id);
}

type Request =
  | { readonly does: 'list' }
  | { readonly does: 'get'; readonly key: string }
  | { readonly does: 'delete'; readonly key: string }
  | { readonly does: 'set'; readonly key: string; readonly value?: string; readonly file?: string };

function requestOf(term: string | undefined, flags: MetaFlags): Request {
  const at = term?.indexOf('=') ?? -1;
  if (flags.delete === true) {
    if (term === undefined || at !== -1 || flags.file !== undefined) throw new UsageError('--delete takes a KEY alone');
    return { does: 'delete', key: term };
  }
  if (flags.file !== undefined) {
    if (term === undefined || at !== -1)
      throw new UsageError('--file takes a KEY alone: the value is what the file has');
    return { does: 'set', key: term, file: flags.file };
  }
  if (term === undefined) return { does: 'list' };
  if (at === -1) return { does: 'get', key: term };
  return { does: 'set', key: term.slice(0, at), value: term.slice(at + 1) };
}

async function bytesOf(
  context: CommandContext,
  { value, file }: Extract<Request, { does: 'set' }>,
): Promise<Uint8Array> {
  // A larger one is more than a record can hold, and is refused with the record.
  if (file !== undefined) return await readInput(context, file, MAX_RECORD_BYTES);
  return new TextEncoder().encode(value);
}

async function change(
  context: CommandContext,
  name: string,
  key: string,
  value: Uint8Array | undefined,
): Promise<void> {
  await using store = await openFor(context, 'write');
  const { id } = findImage(store, name);
  const previous = store.metadata(id).get(key);
  if (value === undefined) await store.deleteMetadata(id, key, context.write);
  else await store.setMetadata(id, key, value, context.write);
  const was = previous === undefined ? null : metadataFields(previous);
  const result =
    value === undefined ? { image: id, deleted: key, was } : { image: id, set: key, ...metadataFields(value), was };
  const done = value === undefined ? `deleted ${key}` : `set ${key} to ${valueText(value)}`;
  const before = previous === undefined ? '' : `, was ${valueText(previous)}`;
  await answer(context, result, `${done} in ${context.colors.yellow(shortId(id))}${before}`);
}

async function print(context: CommandContext, reading: Reading, id: ImageId, key: string): Promise<void> {
  const docker = dockerMetadata(reading.images, id).get(key);
  if (docker !== undefined) {
    if (context.json) await writeJson(context, { image: id, key, value: docker });
    else await context.out.line(docker);
    return;
  }
  const value = DOCKER_KEYS.has(key) ? undefined : reading.images.metadata(id).get(key);
  if (value === undefined) throw metadataNotFound(id, key);
  if (context.json) await writeJson(context, { image: id, key, size: value.length, ...metadataFields(value) });
  else await printValue(context, value);
}

/** To a program as it is; a terminal gets only what it cannot obey. */
async function printValue({ out }: CommandContext, value: Uint8Array): Promise<void> {
  if (!out.isTerminal) return await out.bytes(value);
  const text = metadataText(value);
  if (text === undefined) throw new UsageError(`the value is ${binaryText(value)}: send it to a file or a pipe`);
  await out.line(text);
}

async function list(context: CommandContext, { images }: Reading, id: ImageId): Promise<void> {
  const { colors, json, out, quiet } = context;
  const own = [...images.metadata(id)].filter(([key]) => !DOCKER_KEYS.has(key));
  const docker = [...dockerMetadata(images, id)];
  if (json) {
    for (const [key, value] of docker) await writeJson(context, { image: id, key, value });
    for (const [key, value] of own)
      await writeJson(context, { image: id, key, size: value.length, ...metadataFields(value) });
    return;
  }
  if (quiet) {
    for (const [key] of [...docker, ...own]) await out.line(key);
    return;
  }
  const columns = [
    { title: 'KEY', shrinksTo: 12 },
    { title: 'SIZE', align: 'right' as const },
    { title: 'VALUE', shrinksTo: 12 },
  ];
  const rows = [
    ...docker.map(([key, value]) => [key, '', value]),
    ...own.map(([key, value]) => [key, sizeText(value.length), metadataText(value) ?? NO_TEXT]),
  ];
  for (const line of tableLines(columns, rows, { colors, width: out.columns })) await out.line(line);
}

const NO_TEXT = '<binary>';

function valueText(value: Uint8Array): string {
  const text = metadataText(value);
  return text === undefined ? binaryText(value) : JSON.stringify(text);
}

function binaryText(value: Uint8Array): string {
  return `${sizeText(value.length)} of binary data`;
}
