import test from 'ava';
import type { ChainId } from '../../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../../src/model/events.js';
import { compileFilter, type EventFilter } from '../../../src/store/follow/event-filter.js';
import { type ParkedFollower, ParkedFollowers } from '../../../src/store/follow/log-feed.js';
import { idNamed } from '../../support/image-configs.js';
import { creationOf, eventsFrom } from '../../support/stored-event.js';

const chain = (name: string): ChainId => idNamed(name) as string as ChainId;
const set = (name: string, image: string, previous?: string): EventBody => ({
  type: 'ReferenceSet',
  reference: name,
  image: idNamed(image),
  previous: previous === undefined ? undefined : idNamed(previous),
});

/** A follower that notes what it is asked and told. */
class Waiter implements ParkedFollower {
  readonly filter;
  readonly woken: number[][] = [];
  asked = 0;
  ended = 0;

  constructor(filter: EventFilter | undefined) {
    this.filter = compileFilter(filter);
  }

  wants(event: StoredEvent): boolean {
    this.asked++;
    return this.filter.passes?.(event) ?? true;
  }

  wake(page: readonly StoredEvent[]): void {
    this.woken.push(page.map(({ seq }) => seq));
  }

  end(): void {
    this.ended++;
  }
}

test('a page wakes the followers that it concerns, and asks no others', (t) => {
  const x = 'docker.io/library/x:1';
  const cases: readonly [EventFilter | undefined, boolean][] = [
    [undefined, true],
    [{ since: 0 }, true],
    [{ reference: x }, true],
    [{ image: idNamed('b') }, true],
    [{ image: [idNamed('q'), idNamed('a')] }, true],
    [{ chainId: chain('c') }, true],
    [{ actor: 'tester' }, true],
    [{ type: ['LayerAdded', 'ReferenceSet'] }, true],
    [{ reference: 'y:1' }, false],
    [{ image: idNamed('q') }, false],
    [{ chainId: chain('q') }, false],
    [{ actor: 'nobody' }, false],
    [{ type: 'LayerAdded' }, false],
  ];
  const waiters = cases.map(([filter]) => new Waiter(filter));
  const parked = new ParkedFollowers();
  t.teardown(() => parked.end());
  for (const waiter of waiters) parked.park(waiter);
  parked.wake(eventsFrom(7, [{ ...creationOf('z'), chainId: chain('c') } as EventBody, set(x, 'a', 'b')]));
  for (const [at, [filter, wakes]] of cases.entries()) {
    t.deepEqual(waiters[at]?.woken, wakes ? [[7, 8]] : [], JSON.stringify(filter));
    t.is((waiters[at]?.asked ?? 0) > 0, wakes, JSON.stringify(filter));
  }
});

test('a follower that was woken is parked no more', (t) => {
  const parked = new ParkedFollowers();
  t.teardown(() => parked.end());
  const waiter = new Waiter({ image: [idNamed('a'), idNamed('b')] });
  parked.park(waiter);
  parked.wake(eventsFrom(1, [creationOf('a'), creationOf('b')]));
  parked.wake(eventsFrom(3, [creationOf('a')]));
  t.deepEqual(waiter.woken, [[1, 2]]);
});

test('a follower is woken only by an event that it wants', (t) => {
  const parked = new ParkedFollowers();
  t.teardown(() => parked.end());
  const waiter = new Waiter({ actor: 'tester', type: 'ReferenceSet' });
  parked.park(waiter);
  parked.wake(eventsFrom(1, [creationOf('a')]));
  t.deepEqual(waiter.woken, []);
  parked.wake(eventsFrom(2, [creationOf('b'), set('x', 'a')]));
  t.deepEqual(waiter.woken, [[2, 3]]);
});

test('a follower that goes away is forgotten under every key, and is not woken', (t) => {
  const parked = new ParkedFollowers();
  t.teardown(() => parked.end());
  const filters: readonly (EventFilter | undefined)[] = [
    undefined,
    { image: [idNamed('a'), idNamed('b')] },
    { type: ['ImageCreated', 'ImageDeleted'] },
    { actor: 'tester' },
  ];
  for (const filter of filters) {
    const [gone, stays] = [new Waiter(filter), new Waiter(filter)];
    parked.park(gone);
    parked.park(stays);
    parked.unpark(gone);
    parked.unpark(gone);
    parked.wake(eventsFrom(1, [creationOf('a'), creationOf('b')]));
    t.deepEqual([gone.asked, gone.woken, stays.woken], [0, [], [[1, 2]]]);
  }
});

test('when no more pages come, each follower is told once', (t) => {
  const parked = new ParkedFollowers();
  t.teardown(() => parked.end());
  const waiters = [
    undefined,
    { image: [idNamed('a'), idNamed('b')] },
    { reference: ['x:1', 'y:1'] },
    { chainId: chain('c') },
    { actor: ['ann', 'ben'] },
    { type: ['ImageCreated', 'ImageDeleted'] } as const,
  ].map((filter) => new Waiter(filter));
  for (const waiter of waiters) parked.park(waiter);
  parked.end();
  parked.end();
  for (const waiter of waiters) t.is(waiter.ended, 1);
});
