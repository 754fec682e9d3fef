import type { Page, Views } from '../../projections/views.js';
import { StoreError } from '../errors.js';
import type { Digest } from '../model/digest.js';
import type { EventBody } from '../model/events.js';
import { type Command, type CommandPort, type Origin, stampEvents } from './writer.js';
import { PARENT_KEY } from './commands/metadata.js';
import { NotedState } from './commands/decision.js';
import type { StoreBackend } from './event-store.js';

const NO_HOLDS = { holdsOf: () => 0 };
const RESTORED: Origin = { actor: 'restore', reason: undefined, requestId: undefined };

interface BackendPortOptions {
  readonly backend: StoreBackend;
  readonly views: Views;
  readonly fold: (page: Page) => void;
  readonly now: () => number;
}

/**
 * Carries the decisions of the image store out on a StoreBackend, one command after another. The events number
 * this process's changes only: a backend keeps states, not history.
 */
export class BackendPort implements CommandPort {
  readonly #options: BackendPortOptions;
  #seq = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: BackendPortOptions) {
    this.#options = options;
  }

  submit<Result>(command: Command<Result>): Promise<Result> {
    const done = this.#last.then(() => this.#run(command));
    // The next command waits for this one, whatever comes of it; its own caller is told.
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Folds events of what the backend holds already. */
  fold(bodies: readonly EventBody[], origin: Origin = RESTORED): void {
    const { fold, now } = this.#options;
    const events = stampEvents(bodies, origin, { first: this.#seq + 1, time: now() });
    this.#seq += events.length;
    fold(events);
  }

  async #run<Result>({ decide, origin, accepted }: Command<Result>): Promise<Result> {
    const { events, content, result } = decide(new NotedState(this.#options.views, NO_HOLDS));
    accepted?.(result);
    for (const event of events) {
      await this.#apply(event, content ?? new Map());
      // Folded one by one: when a later one fails, the views still say what the backend holds.
      this.fold([event], origin);
    }
    return result;
  }

  async #apply(event: EventBody, content: ReadonlyMap<Digest, Uint8Array | undefined>): Promise<void> {
    const { backend } = this.#options;
    switch (event.type) {
      case 'ImageCreated':
        await backend.set(content.get(event.image) ?? new Uint8Array());
        break;
      case 'ImageDeleted':
        await backend.delete(event.image);
        break;
      case 'ParentSet':
        await backend.setMetadata(event.image, PARENT_KEY, new TextEncoder().encode(event.parent));
        break;
      case 'ParentCleared':
        await backend.deleteMetadata(event.image, PARENT_KEY);
        break;
      case 'MetadataSet':
        await backend.setMetadata(event.image, event.key, event.value);
        break;
      case 'MetadataCleared':
        await backend.deleteMetadata(event.image, event.key);
        break;
      default:
        throw new StoreError('INTERNAL', `a backend cannot keep ${event.type}`);
    }
  }
}
