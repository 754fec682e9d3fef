import type { ImageId } from '../../model/digest.js';
import type { ImageFacts } from '../query/image-facts.js';
import { displayWidth, pad, truncate, widest } from './display-width.js';
import { type ImageDrawing, imageSizeText } from './image-table.js';
import { printable } from './printable.js';
import { shortId, SHORT_ID_LENGTH } from './short-id.js';
import { familiarReference } from '../../model/reference.js';
import { treeLines } from './tree.js';

// Deeper branches would leave no place for the names: they are cut.
const LEAST_NAME_COLUMNS = 8;

/**
 * Returns a drawing of which image was made from which: id and size on the
 * left, the tree with the references on the right. An image whose parent is not among
 * `images` stands as a root.
 */
export function imageTreeLines(images: readonly ImageFacts[], { colors, width }: ImageDrawing): string[] {
  const byId = new Map(images.map((facts) => [facts.id, facts]));
  const places = new Map(images.map(({ id }, at) => [id, at]));
  const placeOf = ({ id }: ImageFacts): number => places.get(id) ?? 0;
  const roots = images.filter(({ parent }) => parent === null || !byId.has(parent));
  const childrenOf = ({ children }: ImageFacts): ImageFacts[] =>
    children.flatMap((id: ImageId) => byId.get(id) ?? []).sort((a, b) => placeOf(a) - placeOf(b));
  const sizeColumns = widest(['SIZE', ...images.map(imageSizeText)]);
  const head = `${pad('IMAGE ID', SHORT_ID_LENGTH)}  ${pad('SIZE', sizeColumns, 'right')}  REFERENCES`;
  const nameColumns =
    width === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(LEAST_NAME_COLUMNS, width - SHORT_ID_LENGTH - sizeColumns - 4);
  return [
    colors.bold(head),
    ...treeLines(roots, childrenOf).map(({ node, branch }) => {
      const place = truncate(branch, nameColumns - LEAST_NAME_COLUMNS);
      const names = truncate(namesText(node), nameColumns - displayWidth(place));
      const size = pad(imageSizeText(node), sizeColumns, 'right');
      const painted = node.references.length === 0 ? colors.dim(names) : names;
      return `${colors.yellow(shortId(node.id))}  ${size}  ${colors.dim(place)}${painted}`;
    }),
  ];
}

function namesText({ references }: ImageFacts): string {
  return references.length === 0 ? '<none>' : references.map((each) => printable(familiarReference(each))).join(', ');
}
