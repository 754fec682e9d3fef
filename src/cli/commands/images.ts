import type { Option } from 'commander';
import { msOf } from '../../model/timestamp.js';
import type { Grammar } from '../command.js';
import { type CommandContext, isForPeople } from '../context.js';
import { allArtifactFacts, type ArtifactFacts, erasedFacts, type ImageFacts, imageFacts } from '../image-facts.js';
import { UsageError } from '../exit-codes.js';
import { artifactRow, type FieldRow, imageRow, targetsIn } from '../image-fields.js';
import { type ImageFilter, imageFilter } from '../image-filter.js';
import { imageFormat, type ImageFormat, listLines, type ListStyle } from '../image-format.js';
import { type ListedFacts, listedImages, namedImages, type SortOrder, sortOrder } from '../image-list.js';
import { openReading, type Reading } from '../open-for.js';
import { option, repeated } from '../option-values.js';
import { LINES_A_WRITE } from '../output.js';
import type { ImageSource } from '../query.js';
import { artifactTableLines, imageTreeLines } from '../render/image-table.js';
import { countText } from '../../model/texts.js';
import { jsonText } from '../render/text.js';
import { type TimeColumn, timeColumn } from '../render/times.js';

interface ImagesFlags {
  readonly tree?: boolean;
  readonly heads?: boolean;
  readonly all?: boolean;
  readonly filter?: readonly string[];
  readonly format?: ImageFormat;
  readonly sort?: SortOrder;
  readonly digests?: boolean;
}

const FILTER_HELP =
  'Filters are KEY=VALUE. Keys: reference (a pattern with * ? [a-z]), dangling (true or false), os, architecture, ' +
  'label (NAME or NAME=VALUE), since and before (an image), until (a time). Values of one key are alternatives, but all ' +
  'labels must match, and different keys must all match. reference!= and label!= take away what matches. Artifacts ' +
  'match by reference only.';

/** `imagelog images`: a table, a tree, JSON lines, CSV, or a template of docker's. */
export const imagesGrammar: Grammar = () => ({
  about:
    `${FILTER_HELP}\n\n` +
    'A format is json, csv, table, columns, or a template like that of `docker images`. Its fields: ID, Repository, ' +
    'Tag, Digest, CreatedSince, CreatedAt, Size, as docker prints them, and Reference, Created, Platform, OS, ' +
    'Architecture, Variant, Parent, Kind, Type. Columns are their names in lower case.',
  examples: [
    ['imagelog images', 'list all images, the newest first'],
    ['imagelog images --tree', 'draw which image was made from which'],
    ["imagelog images --filter 'reference=shop/*' --filter os=linux", 'list the images of one name space'],
    ['imagelog images --filter label=team=shop --sort -size', 'list the images of a label, the largest first'],
    ['imagelog images --filter dangling=true --quiet', 'list the ids of images that nothing names or uses'],
    ["imagelog images --format '{{.Repository}}:{{.Tag}} {{.ID}}'", 'print lines as `docker images` does'],
    ['imagelog images --format id,reference,size', 'choose the columns of the table'],
    ['imagelog images --all', 'list signatures, SBOMs and other artifacts too'],
    ['imagelog images --at 2026-01-31', 'list the images at the end of that day'],
    ['imagelog images --format csv', 'list them for a spreadsheet, sizes in bytes'],
    ['imagelog images --json | jq -r .id', 'give the ids to another program'],
  ],
  options: [
    option('--tree', 'draw parents and children'),
    option('-a, --all', 'also artifacts and indexes, by digest; with --json each object has a kind'),
    ...imageOptions(),
    option('--format <format>', 'json, csv, table, columns like id,size, or a template like {{.ID}}', imageFormat),
    option('--digests', 'also the digest of the manifest or index of each name'),
  ],
  paged: () => true,
  action: images,
});

/** `imagelog tree`: draws image parentage. */
export const treeGrammar: Grammar = () => ({
  about: 'The same as `imagelog images --tree`.',
  examples: [
    ['imagelog tree', 'draw all images'],
    ['imagelog tree --at 2d', 'draw those of two days ago'],
  ],
  options: imageOptions(),
  paged: () => true,
  action: (context: CommandContext, flags: ImagesFlags) => images(context, { ...flags, tree: true }),
});

function imageOptions(): Option[] {
  return [
    option('--heads', 'only images without children'),
    option('-f, --filter <key=value>', 'only images that match; may be repeated', repeated),
    option('--sort <key>', 'created, size, name or id; -KEY or KEY:desc for the largest first', sortOrder),
  ];
}

const JSON_FORMAT: ImageFormat = { kind: 'json' };
const TABLE_FORMAT: ImageFormat = { kind: 'table' };

async function images(context: CommandContext, flags: ImagesFlags): Promise<void> {
  const format = flags.format ?? (context.json ? JSON_FORMAT : TABLE_FORMAT);
  const isUsual = format.kind === 'table' && format.cells === undefined;
  if (flags.tree === true && flags.format !== undefined) throw new UsageError('a tree has no --format');
  if (flags.digests === true && (flags.tree === true || !isUsual)) {
    throw new UsageError('--digests is for the table; in a format name the field Digest');
  }
  await using reading = await openReading(context);
  const { images: source } = reading;
  const filter = imageFilter(flags.filter ?? [], source, { nowMs: reading.time, timeZone: context.timeZone });
  const fits = (facts: ListedFacts): boolean => filter.fits(facts) && (flags.heads !== true || facts.isHead);
  const shown = listedImages(source, fits, flags.sort);
  const artifacts =
    flags.all === true
      ? allArtifactFacts(source).filter(({ references }) => filter.fitsArtifact(references))
      : undefined;
  if (format.kind === 'json') return await writeLines(context, jsonLines(source, shown, artifacts));
  if (context.quiet && isUsual) return await writeLines(context, idLines(shown, artifacts));
  const style = styleOf(context, reading, flags, filter);
  const rows = imageRows(shown, filter, flags.sort);
  if (!isUsual) {
    return await writeLines(context, listLines(format, joined(rows, artifactRows(artifacts ?? [], filter)), style));
  }
  const lines = flags.tree === true ? treeLines(source, shown, style) : listLines(format, rows, style);
  await writeTables(context, source, { lines: joined(lines), artifacts, filter, style });
}

function styleOf(context: CommandContext, reading: Reading, flags: ImagesFlags, filter: ImageFilter): ListStyle {
  const { colors, timeZone, out } = context;
  const { images: source, time } = reading;
  let created: TimeColumn | undefined;
  const truncates = context.trunc;
  return {
    now: time,
    timeZone,
    get created() {
      created ??= timeColumn('CREATED', createdTimes(source), timeZone);
      return created;
    },
    truncates,
    colors,
    width: truncates ? out.columns : undefined,
    targetOf: targetsIn(source),
    showsDigests: flags.digests === true,
    referenceWidth: () => widestReference(source, filter),
  };
}

function* createdTimes(source: ImageSource): Generator<number> {
  for (const { created } of source.imageEntries()) if (created !== undefined) yield msOf(created);
}

// Without parsing 30,000 names: the short form lacks the default parts, and names are ASCII.
const DEFAULT_PARTS = /^docker\.io\/(?:library\/)?/;

function widestReference(source: ImageSource, { showsReference }: ImageFilter): number {
  let widest = 0;
  for (const { reference, image } of source.referenceEntries()) {
    if (image === undefined || reference.length <= widest || !showsReference(reference)) continue;
    widest = Math.max(widest, reference.replace(DEFAULT_PARTS, '').length);
  }
  return widest;
}

interface Tables {
  /** The head, then the images. */
  readonly lines: Generator<string>;
  readonly artifacts: readonly ArtifactFacts[] | undefined;
  readonly filter: ImageFilter;
  readonly style: ListStyle;
}

/** Writes the table of images and that of artifacts; one without rows only where it is alone. */
async function writeTables(
  context: CommandContext,
  source: ImageSource,
  { lines, artifacts, filter, style }: Tables,
): Promise<void> {
  const { out } = context;
  const [head, first] = [lines.next(), lines.next()];
  const hasImages = first.done !== true;
  const hasArtifacts = artifacts !== undefined && artifacts.length > 0;
  if (head.done !== true && (hasImages || !hasArtifacts)) await out.line(head.value);
  if (hasImages) await writeLines(context, joined([first.value], lines));
  if (hasImages && hasArtifacts) await out.line('');
  if (hasArtifacts) await writeLines(context, artifactTableLines(artifacts, filter, style));
  if (!hasImages && artifacts === undefined) await hintAtArtifacts(context, source);
}

/** A store of artifacts alone looks empty without it. */
async function hintAtArtifacts(context: CommandContext, source: ImageSource): Promise<void> {
  const { length } = source.artifacts();
  if (length === 0 || !isForPeople(context)) return;
  const { err, errColors } = context;
  await err.line(errColors.dim(`${countText(length, 'artifact')}: \`imagelog images --all\` lists artifacts too`));
}

function* jsonLines(
  source: ImageSource,
  shown: Iterable<ListedFacts>,
  artifacts: readonly ArtifactFacts[] | undefined,
): Generator<string> {
  const kind = artifacts === undefined ? {} : { kind: 'image' };
  for (const facts of factsOf(source, shown)) yield jsonText({ ...kind, ...facts });
  for (const facts of artifacts ?? []) yield jsonText(facts);
}

function* idLines(shown: Iterable<ListedFacts>, artifacts: readonly ArtifactFacts[] | undefined): Generator<string> {
  for (const { id } of shown) yield id;
  for (const { digest } of artifacts ?? []) yield digest;
}

// A tree is drawn from its roots: no line is known before the last image.
function* treeLines(source: ImageSource, shown: Iterable<ListedFacts>, style: ListStyle): Generator<string> {
  yield* imageTreeLines([...factsOf(source, shown)], style);
}

function* factsOf(source: ImageSource, shown: Iterable<ListedFacts>): Generator<ImageFacts> {
  const layers = source.layers.map();
  for (const { id, image } of shown) {
    yield image === undefined ? erasedFacts(source, id) : imageFacts(source, image, layers);
  }
}

function* imageRows(
  shown: Iterable<ListedFacts>,
  filter: ImageFilter,
  order: SortOrder | undefined,
): Generator<FieldRow> {
  for (const named of namedImages(shown, filter.showsReference, order)) yield imageRow(named);
}

function* artifactRows(artifacts: readonly ArtifactFacts[], { showsReference }: ImageFilter): Generator<FieldRow> {
  for (const artifact of artifacts) {
    const references = artifact.references.filter(showsReference);
    for (const reference of references) yield artifactRow(artifact, reference);
    if (references.length === 0) yield artifactRow(artifact, undefined);
  }
}

function* joined<Item>(...parts: readonly Iterable<Item>[]): Generator<Item> {
  for (const part of parts) yield* part;
}

async function writeLines({ out }: CommandContext, lines: Iterable<string>): Promise<void> {
  let waiting: string[] = [];
  for (const line of lines) {
    waiting.push(line);
    if (waiting.length < LINES_A_WRITE) continue;
    await out.line(waiting.join('\n'));
    waiting = [];
  }
  if (waiting.length > 0) await out.line(waiting.join('\n'));
}
