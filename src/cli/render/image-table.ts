import { withoutRepeats } from '../image-list.js';
import type { ArtifactFacts, ImageFacts } from '../image-facts.js';
import { type BuildStep, commandText } from '../../model/history.js';
import type { ImageFilter } from '../image-filter.js';
import { displayWidth, pad, truncate, widest } from './display-width.js';
import { NONE, printable, SHORT_ID_LENGTH, shortId, sizeText } from '../../model/texts.js';
import type { Colors } from './text.js';
import { familiarReference } from '../../model/reference.js';
import { timestampToDate } from '../../model/timestamp.js';
import { type Column, tableLines, treeLines } from './table.js';
import { type TimeColumn, timeColumn } from './times.js';
import type { Digest, ImageId } from '../../model/digest.js';
import { bar } from './progress.js';

interface ImageDrawing {
  readonly colors: Colors;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly timeZone: string;
  /** False for whole ids. */
  readonly truncates?: boolean | undefined;
}

/** Platform of a past image whose config was erased since. */
export const ERASED = 'erased';

/** Returns a table with a row per reference of an artifact shown by `filter`, and per unnamed one. */
export function artifactTableLines(
  artifacts: readonly ArtifactFacts[],
  filter: Pick<ImageFilter, 'showsReference'>,
  { colors, width, truncates }: Omit<ImageDrawing, 'timeZone'>,
): string[] {
  const idText = idTexts(truncates);
  const columns: Column[] = [
    { title: 'REFERENCE', shrinksTo: 12 },
    { title: 'ARTIFACT', paint: colors.yellow },
    { title: 'TYPE', shrinksTo: 16 },
    { title: 'ABOUT', paint: colors.yellow, goes: 1 },
    { title: 'SIZE', align: 'right' },
  ];
  const rows = artifacts.flatMap(({ digest, kind, mediaType, artifactType, subject, references, totalSize }) => {
    const type = printable(artifactType ?? (kind === 'index' ? kind : mediaType));
    const others = [idText(digest), type, subject === null ? '' : idText(subject), sizeText(totalSize)];
    const names = references.filter(filter.showsReference).map(familiarReference);
    return (names.length === 0 ? [NONE] : names).map((name) => [name, ...others]);
  });
  return tableLines(columns, rows, { width, colors });
}

function idTexts(truncates = true): (digest: Digest) => string {
  return truncates ? shortId : (digest) => digest;
}

function imageSizeText({ size }: Pick<ImageFacts, 'size'>): string {
  return size === null ? '-' : sizeText(size);
}

function createdColumn(steps: readonly Pick<BuildStep, 'created'>[], timeZone: string): TimeColumn {
  const times = steps.flatMap(({ created }) => (created === null ? [] : [timestampToDate(created).getTime()]));
  return timeColumn('CREATED', times, timeZone);
}

function createdText({ created }: Pick<BuildStep, 'created'>, times: TimeColumn): string {
  return created === null ? NONE : times.minutes(timestampToDate(created).getTime());
}

// Deeper branches are cut to leave room for names.
const LEAST_NAME_COLUMNS = 8;

/** Draws image parentage as a tree. Images whose parent is not among `images` are roots. */
export function imageTreeLines(images: readonly ImageFacts[], { colors, width, truncates }: ImageDrawing): string[] {
  const idText = idTexts(truncates);
  const idColumns = images[0] === undefined ? SHORT_ID_LENGTH : idText(images[0].id).length;
  const byId = new Map(images.map((facts) => [facts.id, facts]));
  const places = new Map(images.map(({ id }, at) => [id, at]));
  const placeOf = ({ id }: ImageFacts): number => places.get(id) ?? 0;
  const roots = images.filter(({ parent }) => parent === null || !byId.has(parent));
  const childrenOf = ({ children }: ImageFacts): ImageFacts[] =>
    children.flatMap((id: ImageId) => byId.get(id) ?? []).sort((a, b) => placeOf(a) - placeOf(b));
  const sizeColumns = widest(['SIZE', ...images.map(imageSizeText)]);
  const head = `${pad('IMAGE ID', idColumns)}  ${pad('SIZE', sizeColumns, 'right')}  REFERENCES`;
  const nameColumns =
    width === undefined ? Number.POSITIVE_INFINITY : Math.max(LEAST_NAME_COLUMNS, width - idColumns - sizeColumns - 4);
  return [
    colors.bold(head),
    ...treeLines(roots, childrenOf).map(({ node, branch }) => {
      const place = truncate(branch, nameColumns - LEAST_NAME_COLUMNS);
      const names = truncate(namesText(node), nameColumns - displayWidth(place));
      const size = pad(imageSizeText(node), sizeColumns, 'right');
      const painted = node.references.length === 0 ? colors.dim(names) : names;
      return `${colors.yellow(idText(node.id))}  ${size}  ${colors.dim(place)}${painted}`;
    }),
  ];
}

function namesText({ references }: ImageFacts): string {
  if (references.length === 0) return NONE;
  return withoutRepeats(references)
    .map((each) => printable(familiarReference(each)))
    .join(', ');
}

const BAR_COLUMNS = 8;

/** Returns a table of build steps in order, with bars for their shares of the total size. */
export function historyTableLines(steps: readonly BuildStep[], { colors, width, timeZone }: ImageDrawing): string[] {
  const total = steps.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const hasComments = steps.some(({ comment }) => comment !== '');
  const times = createdColumn(steps, timeZone);
  const columns: Column[] = [
    { title: times.title, goes: 1 },
    { title: 'CREATED BY', shrinksTo: 16 },
    { title: 'SIZE', align: 'right' },
    { title: '', paint: colors.green, goes: 2 },
    ...(hasComments ? [{ title: 'COMMENT', shrinksTo: 8, goes: 3, paint: colors.dim }] : []),
  ];
  const rows = steps.map((step) => [
    createdText(step, times),
    commandText(step.createdBy),
    imageSizeText(step),
    total === 0 ? '' : bar((step.size ?? 0) / total, BAR_COLUMNS),
    ...(hasComments ? [step.comment] : []),
  ]);
  return tableLines(columns, rows, { width, colors });
}
