import type { StoredEvent } from '../../../src/model/events.js';
import { isAbout } from '../../../src/model/subjects.js';
import type { EventFilter } from '../../../src/store/follow/event-filter.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';

/** How many write at the same time. */
export const WRITERS = 64;
const ROUNDS = 5;
const actors = ['ann', 'ben', 'eve'];
const image = idNamed('0 0');
const reference = 'docker.io/library/x:3';

/** A filter, and what it means. */
export interface Question {
  readonly filter: EventFilter | undefined;
  passes(event: StoredEvent): boolean;
}

/** Filters of every kind. */
export const questions: readonly Question[] = [
  { filter: undefined, passes: () => true },
  { filter: { actor: 'ann' }, passes: ({ actor }) => actor === 'ann' },
  { filter: { actor: ['ben', 'eve'] }, passes: ({ actor }) => actor === 'ben' || actor === 'eve' },
  { filter: { type: 'ReferenceSet' }, passes: ({ type }) => type === 'ReferenceSet' },
  { filter: { reference: 'x:3' }, passes: (event) => isAbout(event, { reference }) },
  { filter: { image }, passes: (event) => isAbout(event, { image }) },
  {
    filter: { type: ['ImageCreated', 'MetadataSet'], actor: 'ben' },
    passes: ({ type, actor }) => actor === 'ben' && type !== 'ReferenceSet',
  },
  { filter: { reference: 'never:1' }, passes: () => false },
];

/** Makes what the writers need. */
export async function prepare(store: EventStore): Promise<void> {
  await store.create(imageConfig('0 0'));
}

/** Writes as one of the writers does: creates, names and notes, each as one of three actors. */
export async function write(store: EventStore, writer: number): Promise<void> {
  const actor = actors[writer % actors.length];
  for (let round = 0; round < ROUNDS; round++) {
    const id = await store.create(imageConfig(`${writer} ${round}`), { actor });
    await store.tag({ source: id, target: `x:${writer % 8}` }, { actor });
    if (writer % 4 === 0) await store.setMetadata(image, 'k', new Uint8Array(1), { actor });
  }
}
