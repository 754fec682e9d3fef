import type { ImageId } from '../src/model/digest.js';
import type { StoredProjection } from './projection.js';
import { readRows, writeRows } from './snapshot-rows.js';

/**
 * One image in the tree of parents. Children are a linked list through the nodes themselves:
 * a parent with 100,000 children loses one in constant time, and an image costs one object.
 */
interface TreeNode {
  readonly id: ImageId;
  parent: TreeNode | undefined;
  firstChild: TreeNode | undefined;
  previousSibling: TreeNode | undefined;
  nextSibling: TreeNode | undefined;
}

/** Parents and children of every image. */
export class ChildrenView {
  readonly #nodes = new Map<ImageId, TreeNode>();

  /** The parent of `id`, if it has one. */
  parent(id: ImageId): ImageId | undefined {
    return this.#nodes.get(id)?.parent?.id;
  }

  /** The children of `id` in no particular order; empty for an unknown image. */
  children(id: ImageId): ImageId[] {
    const ids: ImageId[] = [];
    for (let child = this.#nodes.get(id)?.firstChild; child !== undefined; child = child.nextSibling)
      ids.push(child.id);
    return ids;
  }

  hasChildren(id: ImageId): boolean {
    return this.#nodes.get(id)?.firstChild !== undefined;
  }

  /** Every image, in the order of creation. */
  ids(): IterableIterator<ImageId> {
    return this.#nodes.keys();
  }

  /** Every image's parent, in the order of creation of the images. */
  parents(): (ImageId | undefined)[] {
    const parents: (ImageId | undefined)[] = [];
    for (const { parent } of this.#nodes.values()) parents.push(parent?.id);
    return parents;
  }

  /** The images without children, in the order of creation. */
  *childless(): Generator<ImageId> {
    for (const [id, node] of this.#nodes) if (node.firstChild === undefined) yield id;
  }

  /** Adds an image without parent and children, and returns its node. */
  add(id: ImageId): TreeNode {
    const node: TreeNode = {
      id,
      parent: undefined,
      firstChild: undefined,
      previousSibling: undefined,
      nextSibling: undefined,
    };
    this.#nodes.set(id, node);
    return node;
  }

  /** Makes `parent` the parent of `id`, in place of any other. */
  link(id: ImageId, parent: ImageId): void {
    const node = this.#nodes.get(id);
    const parentNode = this.#nodes.get(parent);
    if (node === undefined || parentNode === undefined) return;
    detach(node);
    attach(node, parentNode);
  }

  /** Leaves `id` without a parent. */
  unlink(id: ImageId): void {
    const node = this.#nodes.get(id);
    if (node !== undefined) detach(node);
  }

  /** Removes `id`; its children are left without a parent. */
  remove(id: ImageId): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    detach(node);
    while (node.firstChild !== undefined) detach(node.firstChild);
    this.#nodes.delete(id);
  }
}

/** Makes a node that has no parent the first child of `parent`. */
function attach(node: TreeNode, parent: TreeNode): void {
  node.parent = parent;
  node.nextSibling = parent.firstChild;
  if (parent.firstChild !== undefined) parent.firstChild.previousSibling = node;
  parent.firstChild = node;
}

function detach(node: TreeNode): void {
  const { parent, previousSibling, nextSibling } = node;
  if (parent === undefined) return;
  if (previousSibling === undefined) parent.firstChild = nextSibling;
  else previousSibling.nextSibling = nextSibling;
  if (nextSibling !== undefined) nextSibling.previousSibling = previousSibling;
  node.parent = undefined;
  node.previousSibling = undefined;
  node.nextSibling = undefined;
}

export const childrenProjection: StoredProjection<ChildrenView> = {
  name: 'children',
  version: 1,
  initial: () => new ChildrenView(),
  evolve(view, event) {
    switch (event.type) {
      case 'ImageCreated':
        view.add(event.image);
        break;
      case 'ImageDeleted':
        view.remove(event.image);
        break;
      case 'ParentSet':
        view.link(event.image, event.parent);
        break;
      case 'ParentCleared':
        view.unlink(event.image);
        break;
      default:
    }
    return view;
  },
  encode(view) {
    const [ids, parents] = [[...view.ids()], view.parents()];
    return function* (out) {
      yield* writeRows(out, ids, (id) => out.digest(id));
      // A parent may be younger than its child: it is named when every image is known.
      yield* writeRows(out, parents, (parent) => out.optionalDigest(parent));
    };
  },
  decode(input) {
    const view = new ChildrenView();
    const nodes: TreeNode[] = [];
    const byNumber: (TreeNode | undefined)[] = [];
    readRows(input, () => {
      const number = input.digestNumber();
      const node = view.add(input.digestOf(number));
      nodes.push(node);
      byNumber[number] = node;
    });
    let index = 0;
    readRows(input, () => {
      const node = nodes[index++];
      const parent = byNumber[input.optionalDigestNumber()];
      if (node !== undefined && parent !== undefined) attach(node, parent);
    });
    return view;
  },
};
