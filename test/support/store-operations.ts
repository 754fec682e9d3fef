import fc from 'fast-check';
import { isStoreError } from '../../src/errors.js';
import type { ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed, imageConfig } from './image-configs.js';
import { bytesOf } from './text-bytes.js';

/** One write on a small world of images and names, as plain values. */
export type Operation =
  | { readonly op: 'create'; readonly image: string }
  | { readonly op: 'delete'; readonly image: string }
  | { readonly op: 'setBuiltLocally'; readonly image: string }
  | { readonly op: 'setParent'; readonly image: string; readonly parent: string }
  | { readonly op: 'setMetadata'; readonly image: string; readonly key: string; readonly value: string }
  | { readonly op: 'deleteMetadata'; readonly image: string; readonly key: string }
  | { readonly op: 'tag'; readonly image: string; readonly name: string; readonly overwrite: boolean }
  | { readonly op: 'untag'; readonly name: string }
  | { readonly op: 'erase'; readonly image: string }
  | { readonly op: 'prune' };

const worldImages = ['a', 'b', 'c', 'd', 'e'] as const;
const worldNames = ['docker.io/library/x:1', 'docker.io/library/y:2'] as const;
const worldKeys = ['k', 'l'] as const;

const image = fc.constantFrom(...worldImages);
const name = fc.constantFrom(...worldNames);
const key = fc.constantFrom(...worldKeys);

/** Any command of the small world; creates and parents come most often, so that others find something. */
export const anyCommand: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('create'), image }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('delete'), image }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('setBuiltLocally'), image }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('setParent'), image, parent: image }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('setMetadata'), image, key, value: fc.constantFrom('1', '2') }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('deleteMetadata'), image, key }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('tag'), image, name, overwrite: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('untag'), name }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('erase'), image }) },
);

/** Any write of the small world: also a prune, which is not a command but a scan of the whole log and then one. */
export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 26, arbitrary: anyCommand },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('prune') }) },
);

/** Does `operation` on `store`: resolves with what it answers, or with the code of its refusal. */
export async function outcomeOf(store: EventStore, operation: Operation): Promise<unknown> {
  try {
    return (await perform(store, operation)) ?? 'done';
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return error.code;
  }
}

function perform(store: EventStore, operation: Operation): Promise<unknown> {
  const id: ImageId = 'image' in operation ? idNamed(operation.image) : idNamed('');
  switch (operation.op) {
    case 'create':
      return store.create(imageConfig(operation.image));
    case 'delete':
      return store.delete(id);
    case 'setBuiltLocally':
      return store.setBuiltLocally(id);
    case 'setParent':
      return store.setParent(id, idNamed(operation.parent));
    case 'setMetadata':
      return store.setMetadata(id, operation.key, bytesOf(operation.value));
    case 'deleteMetadata':
      return store.deleteMetadata(id, operation.key);
    case 'tag':
      return store.tag({ source: id, target: operation.name }, { overwrite: operation.overwrite });
    case 'untag':
      return store.untag(operation.name);
    case 'erase':
      return store.erase(id, 'no longer allowed').then(({ size }) => size);
    case 'prune':
      return store
        .prune({ before: store.log.head.seq })
        .then(({ contents }) => contents.map(({ digest }) => digest).sort());
  }
}
