import test from 'ava';
import fc from 'fast-check';
import { childrenOf, hasChildren, headsOf, parentOf } from '../../projections/images.js';
import { ImagesView } from '../../projections/image-table.js';
import { idNamed } from '../support/image-configs.js';

const ids = Array.from({ length: 12 }, (_, at) => idNamed(`${at}`));
const node = fc.nat(ids.length - 1);
const change = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('add' as const), at: node, parent: node }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('link' as const), at: node, parent: node }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unlink' as const), at: node, parent: node }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('remove' as const), at: node, parent: node }) },
);

test('parents, children and heads are those of a plain table of parents', (t) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
      const view = new ImagesView();
      const parents = new Map<number, number | undefined>();
      for (const { op, at, parent } of changes) {
        const [id, parentId] = [ids[at], ids[parent]] as [(typeof ids)[0], (typeof ids)[0]];
        if (op === 'add' && !parents.has(at)) {
          view.add(id, { seq: 1, chainId: undefined });
          parents.set(at, undefined);
        } else if (op === 'link' && at !== parent) {
          view.link(id, parentId);
          if (parents.has(at) && parents.has(parent)) parents.set(at, parent);
        } else if (op === 'unlink') {
          view.unlink(id);
          if (parents.has(at)) parents.set(at, undefined);
        } else if (op === 'remove') {
          view.remove(id);
          parents.delete(at);
          for (const [child, of] of parents) if (of === at) parents.set(child, undefined);
        }
      }
      for (const [at, id] of ids.entries()) {
        const parent = parents.get(at);
        const children = [...parents].filter(([, of]) => of === at).map(([child]) => ids[child]);
        t.is(parentOf(view, id), parent === undefined ? undefined : ids[parent]);
        t.deepEqual(childrenOf(view, id), (children as typeof ids).sort());
        t.is(hasChildren(view, id), children.length > 0);
      }
      const heads = [...parents.keys()].filter((at) => ![...parents.values()].includes(at)).map((at) => ids[at]);
      t.deepEqual([...headsOf(view)], heads as typeof ids);
    }),
    { numRuns: 150 },
  );
});

test('a parent of 50,000 loses its children in any order, each at once', (t) => {
  const view = new ImagesView();
  const parent = idNamed('parent');
  view.add(parent, { seq: 1, chainId: undefined });
  const children = Array.from(
    { length: 50_000 },
    (_, at) => `sha256:${at.toString(16).padStart(64, '0')}` as typeof parent,
  );
  for (const child of children) {
    view.add(child, { seq: 1, chainId: undefined });
    view.link(child, parent);
  }
  // From the middle outwards: neither end of the list.
  const order = children.map((_, at) => (at * 7_919 + 25_000) % children.length);
  for (const at of order.slice(0, 49_990)) view.unlink(children[at] as typeof parent);
  t.deepEqual(
    childrenOf(view, parent),
    order
      .slice(49_990)
      .map((at) => children[at] as typeof parent)
      .sort(),
  );
});
