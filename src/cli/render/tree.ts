/** One place in a tree as it is drawn: what stands there and the branch that leads to it. */
export interface TreeLine<Node> {
  readonly node: Node;
  /** Box-drawing characters that go before the node's text; empty for a root. */
  readonly branch: string;
}

/**
 * Returns the lines of a drawn forest, each node after its parent, in the order
 * of `roots` and of `childrenOf`. Works for trees of any depth.
 */
export function treeLines<Node>(roots: readonly Node[], childrenOf: (node: Node) => readonly Node[]): TreeLine<Node>[] {
  const lines: TreeLine<Node>[] = [];
  // An explicit stack: a chain of parents may be deeper than the call stack.
  const waiting = roots.map((node) => ({ node, branch: '', indent: '' })).reverse();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, branch, indent } = next;
    lines.push({ node, branch });
    const children = childrenOf(node);
    for (let at = children.length - 1; at >= 0; at--) {
      const isLast = at === children.length - 1;
      waiting.push({
        node: children[at] as Node,
        branch: `${indent}${isLast ? '└─ ' : '├─ '}`,
        indent: `${indent}${isLast ? '   ' : '│  '}`,
      });
    }
  }
  return lines;
}
