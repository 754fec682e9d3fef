import type { ImageId } from '../src/model/digest.js';
import { NO_ROW } from './digest-index.js';
import type { ImagesView } from './images-view.js';

/** Children up to which each is put into its place among those before it: for so few, faster than a sort. */
const FEW_CHILDREN = 12;

/** Returns the parent of `id`, if it has one. */
export function parentOf({ index, tree, digests }: ImagesView, id: ImageId): ImageId | undefined {
  const row = index.find(id);
  const parent = row === NO_ROW ? NO_ROW : tree.parent(row);
  return parent === NO_ROW ? undefined : (digests.digest(parent) as ImageId);
}

/** Returns the children of `id`, sorted; none for an unknown image. */
export function childrenOf({ index, tree, digests }: ImagesView, id: ImageId): ImageId[] {
  const row = index.find(id);
  if (row === NO_ROW) return [];
  const rows = tree.children(row);
  if (rows.length === 0) return [];
  if (rows.length > FEW_CHILDREN) rows.sort((one, other) => digests.compare(one, other));
  else insertionSort(rows, (one, other) => digests.compare(one, other));
  return rows.map((child) => digests.digest(child) as ImageId);
}

/** Whether any image has `id` as its parent. */
export function hasChildren({ index, tree }: ImagesView, id: ImageId): boolean {
  const row = index.find(id);
  return row !== NO_ROW && tree.hasChildren(row);
}

function insertionSort(rows: number[], compare: (one: number, other: number) => number): void {
  for (let at = 1; at < rows.length; at++) {
    const row = rows[at] as number;
    let to = at;
    for (; to > 0 && compare(rows[to - 1] as number, row) > 0; to--) rows[to] = rows[to - 1] as number;
    rows[to] = row;
  }
}
