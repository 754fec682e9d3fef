import { setTimeout as delay } from 'node:timers/promises';
import { digestOf, type ImageId } from '../../../src/model/digest.js';
import type { EventFilter, Follower, FollowOptions } from '../../../src/store/follow/event-filter.js';
import type { EventStore } from '../../../src/store/event-store.js';

/** Number of followers per kind. */
export interface CrowdSize {
  /** Waiting for events that never come: of one image, name, actor or event type. */
  readonly idle?: number;
  /** From the first event, taking 10 ms for each. */
  readonly slow?: number;
  /** Taking every new event. */
  readonly eager?: number;
}

/** Followers of a store, each being iterated. */
export interface Crowd {
  /** Resolves when the eager followers have caught up. */
  caughtUp(): Promise<void>;
  dismiss(): Promise<void>;
}

const SLOW_MS = 10;

/** Starts followers of `store`; idle and eager ones wait, slow ones have their first event. */
export async function gatherCrowd(store: EventStore, { idle = 0, slow = 0, eager = 0 }: CrowdSize): Promise<Crowd> {
  const followers: Follower[] = [];
  const ends: Promise<void>[] = [];
  const join = (options: FollowOptions, handle?: () => Promise<void>): Follower => {
    const follower = store.log.follow(options);
    followers.push(follower);
    ends.push(iterate(follower, handle));
    return follower;
  };
  const waiting = Array.from({ length: idle }, (_, at) => join({ filter: idleFilter(at) }));
  const taking = Array.from({ length: eager }, () => join({}));
  const begun = Array.from({ length: slow }, () => {
    return new Promise<void>((resolve) => {
      join({ from: 1 }, () => {
        resolve();
        return delay(SLOW_MS);
      });
    });
  });
  const caughtUp = async (these: readonly Follower[]): Promise<void> => {
    await Promise.all(these.map((follower) => follower.caughtUp()));
  };
  await Promise.all([caughtUp(waiting), caughtUp(taking), ...begun]);
  return {
    caughtUp: () => caughtUp(taking),
    dismiss: async () => {
      await Promise.all(followers.map((follower) => follower.return()));
      await Promise.all(ends);
    },
  };
}

async function iterate(follower: Follower, handle?: () => Promise<void>): Promise<void> {
  for await (const { seq } of follower) if (handle !== undefined && seq > 0) await handle();
}

function idleFilter(at: number): EventFilter {
  switch (at % 4) {
    case 0:
      return { image: digestOf(new TextEncoder().encode(`nothing ${at}`)) as ImageId };
    case 1:
      return { reference: `nobody/tags-this:${at}` };
    case 2:
      return { actor: `nobody ${at}` };
    default:
      return { type: 'LayerRemoved' };
  }
}
