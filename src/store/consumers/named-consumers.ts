import type { Subscription } from 'rxjs';
import type { Page } from '../../../projections/projection.js';
import { StoreError, thrownText } from '../../errors.js';
import type { ConsumerPosition } from '../../log/log.js';
import { mustBeCount, mustBeOptions, mustBeSignal } from '../argument-types.js';
import type { StoreContext } from '../context.js';
import { copyOf, countBehind, keptFilter, readKeptFilter } from './kept-filter.js';
import type { Origin } from '../writer.js';
import {
  checkConsumerName,
  type Consumer,
  type ConsumerOptions,
  consumerOptionNames,
  type Consumers,
  type ConsumerState,
  LogConsumer,
  PASSED_EVENTS_PER_WRITE,
} from './consumer.js';

/** Empty: a position is not an event, so its writer is not recorded. */
const ORIGIN: Origin = { actor: '', reason: undefined, requestId: undefined };

/** The consumers of a store. The store's single writer batches their positions with events. */
export class NamedConsumers implements Consumers {
  readonly #context: StoreContext;
  readonly #held = new Map<string, LogConsumer>();
  /** Consumers being reset or removed: they cannot be opened meanwhile. */
  readonly #changing = new Set<string>();
  #nudgedAt = 0;
  /** Set with the first consumer: a store without consumers does no work for them. */
  #folded: Subscription | undefined;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  consumer(name: string, options: ConsumerOptions = {}): Consumer {
    const { log } = this.#context;
    this.#context.checkWritable();
    checkConsumerName(name);
    mustBeOptions(options, consumerOptionNames);
    const { from = 1, signal } = options;
    mustBeCount('from', from);
    mustBeSignal('signal', signal);
    const filter = this.#context.reader.compiled(options.filter);
    const kept = keptFilter(name, options.filter, filter, this.#context.onNotice);
    this.#checkFree(name);
    const written = log.position(name);
    if (written !== undefined) this.#checkPosition(name, written);
    const consumer = new LogConsumer(this.#context, {
      name,
      filter,
      given: copyOf(options.filter, filter),
      signal,
      written: written?.seq,
      start: written?.seq ?? Math.max(0, from - 1),
      write: (seq) => this.#write(name, seq, kept),
      notWritten: (error) => this.#noteNotWritten(name, error),
      onClosed: () => this.#held.delete(name),
    });
    this.#held.set(name, consumer);
    this.#folded ??= this.#context.viewSet.folded$.subscribe((page) => this.#noteFolded(page));
    return consumer;
  }

  async consumers(): Promise<ConsumerState[]> {
    const { log, reader } = this.#context;
    this.#context.checkOpen();
    const written = await log.positions();
    const names = [...new Set([...written.keys(), ...this.#held.keys()])].sort();
    const states: ConsumerState[] = [];
    for (const name of names) {
      const kept = written.get(name);
      if (kept !== undefined) this.#checkPosition(name, kept);
      const held = this.#held.get(name);
      const position = held?.position ?? kept?.seq ?? 0;
      const { filter, given } = held ?? readKeptFilter(name, kept?.filter);
      const behind = await countBehind(reader, filter, position);
      const own = given === undefined ? {} : { filter: given };
      states.push({ name, position, ...behind, ...own, updatedAt: kept?.time, held: held !== undefined });
    }
    return states;
  }

  async resetConsumer(name: string, position: number): Promise<void> {
    mustBeCount('position', position);
    const head = this.#context.reader.head.seq;
    await this.#change(name, () => {
      if (position <= head) return position;
      throw new StoreError(
        'TIME_OUT_OF_RANGE',
        `cannot reset the consumer ${name} to ${position}: the head is ${head}`,
        { data: { name, position, head } },
      );
    });
  }

  async removeConsumer(name: string): Promise<void> {
    await this.#change(name, () => undefined);
  }

  /**
   * Closes all open consumers; submits their positions before returning, and resolves once those
   * writes settle, even if some fail.
   */
  async end(): Promise<void> {
    const held = [...this.#held.values()];
    await Promise.all(
      held.map((consumer) => consumer.close().catch((error: unknown) => this.#noteNotWritten(consumer.name, error))),
    );
  }

  async #change(name: string, decide: () => number | undefined): Promise<void> {
    const { log } = this.#context;
    this.#context.checkWritable();
    checkConsumerName(name);
    this.#checkFree(name);
    const written = log.position(name);
    if (written === undefined) {
      throw new StoreError('CONSUMER_NOT_FOUND', `there is no consumer ${name}`, { data: { name } });
    }
    const position = decide();
    this.#changing.add(name);
    try {
      await this.#write(name, () => position, written.filter);
    } finally {
      this.#changing.delete(name);
    }
  }

  #write<Seq extends number | undefined>(name: string, seqNow: () => Seq, filter: string | undefined): Promise<Seq> {
    return this.#context.writer.submit({
      origin: ORIGIN,
      decide: () => {
        const seq = seqNow();
        const position = seq === undefined ? undefined : { seq, time: this.#context.now(), filter };
        return { events: [], positions: new Map([[name, position]]), result: seq };
      },
    });
  }

  // Events filtered out do not wake a consumer waiting at the head: tell it every thousand.
  #noteFolded(page: Page): void {
    const head = page.at(-1)?.seq ?? 0;
    if (head - this.#nudgedAt < PASSED_EVENTS_PER_WRITE) return;
    this.#nudgedAt = head;
    for (const consumer of this.#held.values()) consumer.notePassed();
  }

  #checkFree(name: string): void {
    if (!this.#held.has(name) && !this.#changing.has(name)) return;
    const why = this.#changing.has(name) ? 'it is being reset or removed' : 'it is in use';
    throw new StoreError('CONSUMER_TAKEN', `the consumer ${name} is taken: ${why}`, { data: { name } });
  }

  #checkPosition(name: string, { seq }: ConsumerPosition): void {
    const head = this.#context.reader.head.seq;
    if (seq <= head) return;
    throw new StoreError('LOG_CORRUPT', `the consumer ${name} is at position ${seq}, and the log ends at ${head}`, {
      data: { name, position: seq, head },
    });
  }

  #noteNotWritten(name: string, error: unknown): void {
    const why = thrownText(error);
    this.#context.onNotice(`the position of the consumer ${name} was not written: ${why}`);
  }
}
