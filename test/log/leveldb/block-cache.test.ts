import test from 'ava';
import { MAX_KEPT_BLOCK_BYTES } from '../../../src/limits.js';
import { BlockCache, type BlockEntries } from '../../../src/log/leveldb/table.js';

const blockOf = (size: number): BlockEntries => ({
  bytes: new Uint8Array(size),
  keys: [],
  sequences: [],
  areDeleted: [],
  valueStarts: [],
  valueEnds: [],
});

test('of the blocks that fit into MAX_KEPT_BLOCK_BYTES, those used last are kept', (t) => {
  const cache = new BlockCache(MAX_KEPT_BLOCK_BYTES);
  for (const name of ['a', 'b', 'c', 'd']) cache.set(name, blockOf(MAX_KEPT_BLOCK_BYTES / 4));
  t.truthy(cache.get('a'));
  cache.set('e', blockOf(1));
  t.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].filter((name) => cache.get(name) !== undefined),
    ['a', 'c', 'd', 'e'],
  );
  cache.set('f', blockOf(MAX_KEPT_BLOCK_BYTES + 1));
  t.is(cache.get('f'), undefined, 'what is larger than the whole is not kept');
});
