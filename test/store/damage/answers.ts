import { createHash } from 'node:crypto';
import { isStoreError } from '../../../src/errors.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { OpenOptions } from '../../../src/store/store.js';

/** What a store answers to each question, as text; or the error that it refuses one with. */
export type Answers = ReadonlyMap<string, string | Error>;

/** Everything that a store can be asked about what it holds. */
const questions: { readonly [question: string]: (store: EventStore) => unknown } = {
  head: (store) => ({ seq: store.log.head.seq, time: store.log.head.time }),
  images: (store) => [...store.map().keys()].sort(),
  heads: (store) => [...store.heads().keys()].sort(),
  references: (store) => store.referenceEntries(),
  layers: (store) => [...store.layers.map().keys()].sort(),
  parents: (store) => [...store.map().keys()].sort().map((id) => [id, store.children(id)]),
  events: (store) => all(store.log.read()),
  'events backwards': (store) => all(store.log.read({ reverse: true })),
  'history of a reference': (store) => all(store.history('shop/app:1')),
  'history of an actor': (store) => all(store.history({ actor: 'another' })),
  'history of every image': async (store) => {
    const histories: unknown[] = [];
    for (const id of [...store.map().keys()].sort()) histories.push(await all(store.history({ image: id })));
    return histories;
  },
  intervals: (store) => store.referenceHistory('shop/app:1'),
  past: async (store) => [...(await store.at(5)).map().keys()].sort(),
  consumers: async (store) => (await store.consumers()).map(({ name, position }) => [name, position]),
  archive: async (store) => {
    const hash = createHash('sha256');
    for await (const chunk of store.save([...store.map().keys()])) hash.update(chunk as Uint8Array);
    return hash.digest('hex');
  },
};

/** Opens the store in `directory`, asks it everything, and closes it. */
export async function answersOf(directory: string, options: OpenOptions): Promise<Answers> {
  await using store = await openStore(directory, { create: false, onNotice: () => undefined, ...options });
  const answers = new Map<string, string | Error>();
  const ask = async (question: string, read: () => unknown): Promise<void> => {
    try {
      answers.set(
        question,
        JSON.stringify(await read(), (_, value) => plain(value)),
      );
    } catch (error) {
      if (!isStoreError(error)) throw error;
      answers.set(question, error);
    }
  };
  for (const [question, read] of Object.entries(questions)) await ask(question, () => read(store));
  for (const id of [...store.map().keys()].sort()) {
    await ask(`config of ${id}`, () => Buffer.from(store.get(id).rawJSON()).toString());
    await ask(`details of ${id}`, () => store.get(id).details);
  }
  return answers;
}

async function all(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const given: unknown[] = [];
  for await (const event of events) given.push(event);
  return given;
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
