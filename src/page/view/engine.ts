import { thrownText } from '../../errors.js';
import { BLOCK_IDS, LOG_ID } from '../document.js';
import { type Ask, questions } from '../questions.js';
import { Reading } from '../reading.js';
import { type EmbeddedBlocks, type EmbeddedLog, EmbeddedSource, type LogSource, ServedSource } from '../source.js';

/*
 * Runs the reading of the log in a worker, made of the page's own script, or in the page where no
 * worker can be made.
 */

/** Where the log is; can be sent to a worker. */
export type SourceGiven =
  | { readonly kind: 'server'; readonly base: string; readonly isPast: boolean }
  | { readonly kind: 'document'; readonly log: EmbeddedLog; readonly blocks: EmbeddedBlocks };

/** What the engine tells while it reads. */
export interface EngineEvents {
  /** Questions can be asked; the log has so many events. */
  readonly onBegun: () => void;
  readonly onProgress: (done: number, total: number) => void;
  /** All was read, in so many milliseconds. */
  readonly onRead: (milliseconds: number) => void;
  readonly onFailure: (why: string) => void;
}

type Told =
  | { readonly told: 'begun' }
  | { readonly told: 'progress'; readonly done: number; readonly total: number }
  | { readonly told: 'read'; readonly milliseconds: number }
  | { readonly told: 'failure'; readonly why: string }
  | { readonly told: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly told: 'refusal'; readonly id: number; readonly why: string };

type Asked =
  | { readonly ask: 'open'; readonly source: SourceGiven }
  | { readonly ask: 'refresh' }
  | { readonly ask: 'question'; readonly id: number; readonly name: string; readonly args: unknown };

/** A reading that answers. */
export interface Engine {
  readonly ask: Ask;
  /** Reads what came since. */
  readonly refresh: () => void;
}

/** Finds the blocks of the document; a document without any was served. */
export function sourceOfDocument(): SourceGiven {
  const text = document.getElementById(LOG_ID)?.textContent;
  if (text == null) {
    const isPast = document.documentElement.dataset['past'] !== undefined;
    return { kind: 'server', base: document.baseURI, isPast };
  }
  const log = JSON.parse(text) as EmbeddedLog;
  const textOf = (id: string): string => document.getElementById(id)?.textContent ?? '';
  const blocksOf = (id: string, count: number): string[] =>
    Array.from({ length: count }, (_, at) => textOf(`${id}${at}`));
  const blocks = {
    records: blocksOf(BLOCK_IDS.records, log.recordBlocks),
    witnesses: textOf(BLOCK_IDS.witnesses),
    tiles: textOf(BLOCK_IDS.tiles),
    contents: blocksOf(BLOCK_IDS.contents, log.contentBlocks.length),
  };
  return { kind: 'document', log, blocks };
}

/** Starts to read. `script` is the text of the page's script, of which a worker is made. */
export function startEngine(source: SourceGiven, script: string, events: EngineEvents): Engine {
  const waiting = new Map<
    number,
    { readonly resolve: (answer: never) => void; readonly reject: (error: Error) => void }
  >();
  const hear = (told: Told): void => {
    if (told.told === 'begun') events.onBegun();
    else if (told.told === 'progress') events.onProgress(told.done, told.total);
    else if (told.told === 'read') events.onRead(told.milliseconds);
    else if (told.told === 'failure') events.onFailure(told.why);
    else {
      const asker = waiting.get(told.id);
      waiting.delete(told.id);
      if (told.told === 'answer') asker?.resolve(told.answer as never);
      else asker?.reject(new Error(told.why));
    }
  };
  const tell = toWorker(script, hear) ?? here(hear);
  tell({ ask: 'open', source });
  let last = 0;
  const ask = (name: string, args?: unknown): Promise<never> =>
    new Promise((resolve, reject) => {
      last++;
      waiting.set(last, { resolve, reject });
      tell({ ask: 'question', id: last, name, args });
    });
  return { ask: ask as Ask, refresh: () => tell({ ask: 'refresh' }) };
}

function toWorker(script: string, hear: (told: Told) => void): ((asked: Asked) => void) | undefined {
  try {
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const worker = new Worker(url);
    worker.addEventListener('message', ({ data }: MessageEvent<Told>) => hear(data));
    worker.addEventListener('error', ({ message }) => hear({ told: 'failure', why: message }));
    return (asked) => worker.postMessage(asked);
  } catch {
    return undefined;
  }
}

function here(hear: (told: Told) => void): (asked: Asked) => void {
  const answering = new Answering(hear);
  return (asked) => void answering.hear(asked);
}

/** Answers what the page asks: all that the script does in a worker. */
export function answerInWorker(): void {
  const answering = new Answering((told) => postMessage(told));
  addEventListener('message', ({ data }: MessageEvent<Asked>) => void answering.hear(data));
}

/** Milliseconds between two reports of progress. */
const PROGRESS_MS = 100;

class Answering {
  readonly #tell: (told: Told) => void;
  #source: SourceGiven | undefined;
  #reading: Promise<Reading> | undefined;
  /** The read in progress: one begins when the one before ended. */
  #read: Promise<void> = Promise.resolve();
  #hasFailed = false;
  #isReread = false;

  constructor(tell: (told: Told) => void) {
    this.#tell = tell;
  }

  async hear(asked: Asked): Promise<void> {
    if (asked.ask === 'question') return this.#answer(asked);
    if (asked.ask === 'open') this.#source = asked.source;
    this.#read = this.#read.then(() => this.#readMore());
    // A question may come before the turn of this read.
    if (asked.ask === 'open') this.#open();
  }

  #open(cache?: 'reload'): Promise<Reading> {
    const given = this.#source as SourceGiven;
    this.#reading = openSource(given, cache).then((source) => Reading.begin(source));
    this.#reading.catch(() => undefined);
    return this.#reading;
  }

  async #readMore(): Promise<void> {
    try {
      const known = await this.#reading?.catch(() => undefined);
      const reading = known ?? (await this.#open());
      const hasMore = known?.verdict === undefined || (await known.refresh());
      if (!hasMore && !this.#hasFailed) return;
      const start = performance.now();
      if (hasMore) await this.#readAll(reading);
      this.#hasFailed = false;
      this.#tell({ told: 'read', milliseconds: performance.now() - start });
    } catch (error) {
      this.#hasFailed = true;
      this.#tell({ told: 'failure', why: thrownText(error) });
    }
  }

  async #readAll(reading: Reading): Promise<void> {
    let next = performance.now();
    this.#tell({ told: 'begun' });
    await reading.read({
      onProgress: (done, total) => {
        if (performance.now() < next) return;
        next = performance.now() + PROGRESS_MS;
        this.#tell({ told: 'progress', done, total });
      },
    });
    if (reading.verdict?.damage === undefined || this.#source?.kind !== 'server' || this.#isReread) return;
    // The browser may have kept tiles of another log that was at this address before.
    this.#isReread = true;
    await this.#readAll(await this.#open('reload'));
  }

  async #answer({ id, name, args }: Extract<Asked, { readonly ask: 'question' }>): Promise<void> {
    try {
      const reading = await this.#reading;
      const question = questions[name as keyof typeof questions] as (
        reading: unknown,
        args: unknown,
      ) => Promise<unknown>;
      this.#tell({ told: 'answer', id, answer: await question(reading, args) });
    } catch (error) {
      this.#tell({ told: 'refusal', id, why: thrownText(error) });
    }
  }
}

async function openSource(given: SourceGiven, cache?: 'reload'): Promise<LogSource> {
  return given.kind === 'server' ? ServedSource.open(given.base, cache) : new EmbeddedSource(given.log, given.blocks);
}
