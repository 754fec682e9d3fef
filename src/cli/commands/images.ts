import type { Option } from 'commander';
import type { Grammar } from '../command.js';
import { type CommandContext, isForPeople, writeJson } from '../context.js';
import { allArtifactFacts } from '../artifact-facts.js';
import { allImageFacts, imageFilter } from '../image-facts.js';
import { openReading } from '../open-for.js';
import { option, repeated } from '../option-values.js';
import type { ImageSource } from '../query.js';
import { imageCsvLines } from '../render/image-csv.js';
import { artifactTableLines, imageTableLines, imageTreeLines } from '../render/image-table.js';
import { countText } from '../render/text.js';

interface ImagesFlags {
  readonly tree?: boolean;
  readonly heads?: boolean;
  readonly all?: boolean;
  readonly filter?: readonly string[];
  readonly format?: 'table' | 'json' | 'csv';
}

/** `imagelog images`: a table, a tree, or JSON lines. */
export const imagesGrammar: Grammar = () => ({
  about:
    'Filters are KEY=VALUE. Keys: reference (a pattern with * ? [a-z]), dangling (true or false), os, architecture, ' +
    'since and before (an image). Values of one key are alternatives, different keys must all match. Artifacts match ' +
    'by reference only.',
  examples: [
    ['imagelog images', 'list all images, the newest first'],
    ['imagelog images --tree', 'draw which image was made from which'],
    ["imagelog images --filter 'reference=shop/*' --filter os=linux", 'list the images of one name space'],
    ['imagelog images --filter dangling=true --quiet', 'list the ids of images that nothing names or uses'],
    ['imagelog images --all', 'list signatures, SBOMs and other artifacts too'],
    ['imagelog images --at 2026-01-31', 'list the images at the end of that day'],
    ['imagelog images --format csv', 'list them for a spreadsheet, sizes in bytes'],
    ['imagelog images --json | jq -r .id', 'give the ids to another program'],
  ],
  options: [
    option('--tree', 'draw parents and children'),
    option('-a, --all', 'also artifacts and indexes, by digest; with --json each object has a kind'),
    option('--format <format>', 'table, one JSON object a line, or CSV').choices(['table', 'json', 'csv']),
    ...imageOptions(),
  ],
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
  action: (context: CommandContext, flags: ImagesFlags) => images(context, { ...flags, tree: true }),
});

async function images(context: CommandContext, flags: ImagesFlags): Promise<void> {
  await using reading = await openReading(context);
  const { images: source } = reading;
  const filter = imageFilter(flags.filter ?? [], source);
  const shown = allImageFacts(source).filter((facts) => filter.fits(facts) && (facts.head || flags.heads !== true));
  const artifacts =
    flags.all === true
      ? allArtifactFacts(source).filter(({ references }) => filter.fitsArtifact(references))
      : undefined;
  const format = flags.format ?? (context.json ? 'json' : 'table');
  if (format === 'csv') {
    for (const line of imageCsvLines(shown, artifacts ?? [])) await context.out.line(line);
  } else if (format === 'json') {
    const kind = artifacts === undefined ? {} : { kind: 'image' };
    for (const facts of shown) await writeJson(context, { ...kind, ...facts });
    for (const facts of artifacts ?? []) await writeJson(context, facts);
  } else if (context.quiet) {
    for (const { id } of shown) await context.out.line(id);
    for (const { digest } of artifacts ?? []) await context.out.line(digest);
  } else {
    const options = { colors: context.colors, width: context.out.columns, timeZone: context.io.timeZone };
    const hasArtifacts = artifacts !== undefined && artifacts.length > 0;
    const lines = flags.tree === true ? imageTreeLines(shown, options) : imageTableLines(shown, filter, options);
    for (const line of shown.length === 0 && hasArtifacts ? [] : lines) await context.out.line(line);
    if (shown.length > 0 && hasArtifacts) await context.out.line('');
    for (const line of hasArtifacts ? artifactTableLines(artifacts, filter, options) : []) await context.out.line(line);
    if (shown.length === 0 && artifacts === undefined) await hintAtArtifacts(context, source);
  }
}

/** A store of artifacts alone looks empty without it. */
async function hintAtArtifacts(context: CommandContext, source: ImageSource): Promise<void> {
  const { length } = source.artifacts();
  if (length === 0 || !isForPeople(context)) return;
  const { err, errColors } = context;
  await err.line(errColors.dim(`${countText(length, 'artifact')}: \`imagelog images --all\` lists artifacts too`));
}

function imageOptions(): Option[] {
  return [
    option('--heads', 'only images without children'),
    option('-f, --filter <key=value>', 'only images that match; may be repeated', repeated),
  ];
}
