import test from 'ava';
import { checkHistory, type Image, isValidParent, newFromJSON } from '../../src/model/image.js';
import { storeError } from '../support/store-error.js';
import { bytesOf } from '../support/text-bytes.js';

interface Step {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

function imageOf(history: readonly Step[], ...layers: string[]): Image {
  return newFromJSON(bytesOf(JSON.stringify({ rootfs: { type: 'layers', diff_ids: layers }, history })));
}

const a = { created: '2024-01-01T00:00:00Z', created_by: 'a' };
const b = { created: '2024-01-02T00:00:00Z', created_by: 'b' };
const empty = { created_by: 'e', empty_layer: true };

test('a history may have as many steps with a layer as there are layers, or fewer', (t) => {
  t.notThrows(() => checkHistory(imageOf([])));
  t.notThrows(() => checkHistory(imageOf([], 'x')));
  t.notThrows(() => checkHistory(imageOf([a, empty, b, empty], 'x', 'y')));
  t.notThrows(() => checkHistory(imageOf([empty])));
  const error = storeError(t, 'HISTORY_INVALID', () => checkHistory(imageOf([a, empty, b], 'x')));
  t.deepEqual(error.data, { layers: 1, steps: 2 });
});

const parentage = test.macro({
  exec(t, child: Image, parent: Image, expected: boolean) {
    t.is(isValidParent(child, parent), expected);
  },
  title: (name = '', _child: Image, _parent: Image, expected: boolean) =>
    `${name} ${expected ? 'is' : 'is not'} a parent`,
});

test('the image one step below', parentage, imageOf([a, b], 'x', 'y'), imageOf([a], 'x'), true);
test('the image three steps below', parentage, imageOf([a, b, empty, empty], 'x', 'y'), imageOf([a], 'x'), true);
test('the image below a step without layer', parentage, imageOf([a, empty], 'x'), imageOf([a], 'x'), true);
test('an image without history and layers', parentage, imageOf([a], 'x'), imageOf([]), true);
test('the image itself', parentage, imageOf([a], 'x'), imageOf([a], 'x'), false);
test('the image above', parentage, imageOf([a], 'x'), imageOf([a, b], 'x', 'y'), false);
test('an image with other layers', parentage, imageOf([a, b], 'x', 'y'), imageOf([a], 'z'), false);
test('an image with more layers', parentage, imageOf([a, b], 'x'), imageOf([a], 'x', 'y'), false);
test('an image with another first step', parentage, imageOf([b, a], 'x', 'y'), imageOf([a], 'x'), false);
test('without any history, any image', parentage, imageOf([], 'x'), imageOf([], 'y'), true);

test('one difference in a step is enough to be no parent', (t) => {
  const child = imageOf([{ ...a, author: 'u', comment: 'c' }, b], 'x');
  const same = { ...a, author: 'u', comment: 'c' };
  t.true(isValidParent(child, imageOf([same], 'x')));
  for (const change of [{ author: '' }, { comment: '' }, { created_by: '' }, { empty_layer: true }] as const) {
    t.false(isValidParent(child, imageOf([{ ...same, ...change }], 'x')), JSON.stringify(change));
  }
});

test('the times of steps are compared as moments', (t) => {
  const child = imageOf([a, b], 'x');
  t.true(isValidParent(child, imageOf([{ ...a, created: '2024-01-01T02:00:00.000+02:00' }], 'x')));
  t.false(isValidParent(child, imageOf([{ ...a, created: '2024-01-01T02:00:00Z' }], 'x')));
  t.false(isValidParent(child, imageOf([{ created_by: 'a' }], 'x')));
  t.false(isValidParent(imageOf([{ created_by: 'a' }, b], 'x'), imageOf([a], 'x')));
});
