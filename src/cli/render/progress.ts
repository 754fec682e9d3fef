import type { CommandContext } from '../context.js';
import type { CliIo } from '../output.js';
import { displayWidth, truncate } from './display-width.js';
import { durationText, sizeText } from '../../model/texts.js';

/** Progress of long work on standard error: a bar on a terminal, a line every few seconds elsewhere. */
export interface Progress {
  /** Shows `done` of `total`, which may be unknown. */
  update(done: number, total: number | undefined): void;
  end(): void;
}

const LEAST_COLUMNS = 40;
const LEAST_BAR_COLUMNS = 10;
const MOST_BAR_COLUMNS = 40;
const SIZE_COLUMNS = '    9.99 MB of 99.9 MB '.length;
/** Narrower terminals show no estimate. */
const LEAST_ESTIMATE_COLUMNS = 70;
const ESTIMATE_COLUMNS = ', about 59 min left'.length;
/** Redrawing more often slows the command down. */
const REDRAW_INTERVAL_MS = 100;
/** Off a terminal, work that is done sooner says nothing. */
const FIRST_LINE_MS = 3_000;
/** Time from one line to the next. */
const LINE_INTERVAL_MS = 5_000;
/** How often work that reports nothing is checked for a line. */
const TICK_MS = 1_000;
/** Before, and before this share is done, the beginning of the work says little about its end. */
const ESTIMATE_AFTER_MS = 2_000;
const ESTIMATE_AFTER_SHARE = 0.01;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_LINE = '\r\u001b[2K';

/** What progress needs of a command's context. */
type ProgressContext = Pick<CommandContext, 'err' | 'quiet'> & { readonly io: Pick<CliIo, 'now'> };

/** When lines are due, over all steps of a command: steps of two seconds each are long work too. */
export class Pace {
  readonly #now: () => number;
  #due: number;

  constructor({ now }: Pick<CliIo, 'now'>) {
    this.#now = now;
    this.#due = now() + FIRST_LINE_MS;
  }

  /** Whether a line is due; the next is then due after the usual time. */
  takeTurn(): boolean {
    const now = this.#now();
    if (now < this.#due) return false;
    this.#due = now + LINE_INTERVAL_MS;
    return true;
  }
}

/**
 * Creates the progress of some work, in bytes or by `textOf`; silent if quiet. The caller ends it.
 * Several works of one command share a `pace`.
 */
export function progressBar(
  context: ProgressContext,
  title: string,
  textOf: (number: number) => string = sizeText,
  pace = new Pace(context.io),
): Progress {
  if (context.quiet) return { update: () => undefined, end: () => undefined };
  const work = new Work(context.io.now, textOf);
  return context.err.isTerminal ? drawnBar(context, title, work) : lines(context, title, work, pace);
}

function drawnBar({ err, io }: ProgressContext, title: string, work: Work): Progress {
  const columns = err.columns ?? LEAST_COLUMNS;
  // A line wider than the terminal would leave a copy at each redraw.
  const hasEstimate = columns >= LEAST_ESTIMATE_COLUMNS;
  const numberColumns = SIZE_COLUMNS + (hasEstimate ? ESTIMATE_COLUMNS : 0);
  const shown = truncate(title, Math.max(1, columns - LEAST_BAR_COLUMNS - numberColumns));
  const left = columns - displayWidth(shown) - numberColumns;
  const barColumns = Math.max(LEAST_BAR_COLUMNS, Math.min(MOST_BAR_COLUMNS, left));
  let drawnAt: number | undefined;
  const draw = (): void => {
    const state = `${work.bar(barColumns)}${work.amount()}${hasEstimate ? work.estimate() : ''}`;
    err.stream.write(`${CLEAR_LINE}${shown}  ${state}`);
  };
  return {
    update: (done, total) => {
      const now = io.now();
      work.update(done, total);
      if (drawnAt === undefined) err.stream.write(HIDE_CURSOR);
      else if (Math.abs(now - drawnAt) < REDRAW_INTERVAL_MS) return;
      drawnAt = now;
      draw();
    },
    end: () => {
      if (drawnAt === undefined) return;
      drawnAt = undefined;
      // Show the final state, even for quick work.
      draw();
      err.stream.write(`${CLEAR_LINE}${SHOW_CURSOR}`);
    },
  };
}

function lines({ err }: ProgressContext, title: string, work: Work, pace: Pace): Progress {
  const sayWhenDue = (): void => {
    if (work.isBegun && !err.closed.aborted && pace.takeTurn()) err.stream.write(`${title}: ${work.line()}\n`);
  };
  // A long sync or compaction reports nothing. It must not keep the process alive.
  const ticks = setInterval(sayWhenDue, TICK_MS).unref();
  return {
    update: (done, total) => {
      work.update(done, total);
      sayWhenDue();
    },
    end: () => clearInterval(ticks),
  };
}

/** How far some work is, in words. */
class Work {
  readonly #now: () => number;
  readonly #textOf: (number: number) => string;
  /** When the first numbers came: files may be listed before. */
  #startedAt = 0;
  #doneAtStart = 0;
  #done: number | undefined;
  #total: number | undefined;

  constructor(now: () => number, textOf: (number: number) => string) {
    this.#now = now;
    this.#textOf = textOf;
  }

  get isBegun(): boolean {
    return this.#done !== undefined;
  }

  update(done: number, total: number | undefined): void {
    if (this.#done === undefined) {
      this.#startedAt = this.#now();
      this.#doneAtStart = done;
    }
    this.#done = done;
    // A total that is estimated may be less than what is done.
    this.#total = total === undefined ? undefined : Math.max(total, done);
  }

  /** `1.2 GB of 4 GB`, or without a total `1.2 GB`. */
  amount(): string {
    const done = this.#textOf(this.#done ?? 0);
    return this.#total === undefined ? done : `${done} of ${this.#textOf(this.#total)}`;
  }

  /** `, about 40 s left`, or nothing while that is unknown. */
  estimate(): string {
    const elapsedMs = this.#now() - this.#startedAt;
    const gained = (this.#done ?? 0) - this.#doneAtStart;
    const left = (this.#total ?? 0) - (this.#done ?? 0);
    if (elapsedMs < ESTIMATE_AFTER_MS || left <= 0 || gained <= 0 || this.#share() < ESTIMATE_AFTER_SHARE) return '';
    return `, about ${durationText(Math.max(1_000, (elapsedMs * left) / gained))} left`;
  }

  /** `1.2 GB of 4 GB (30 %), about 40 s left`. */
  line(): string {
    if (this.#total === undefined) return `${this.amount()}, of an unknown total`;
    const isDone = this.#share() === 1;
    return `${this.amount()} (${Math.floor(this.#share() * 100)} %)${isDone ? ', finishing' : this.estimate()}`;
  }

  /** A bar and a gap; nothing without a total. */
  bar(columns: number): string {
    if (this.#total === undefined) return '';
    const full = Math.round(this.#share() * columns);
    return `${'█'.repeat(full)}${'░'.repeat(columns - full)}  `;
  }

  #share(): number {
    const total = this.#total ?? 0;
    return total === 0 ? 1 : Math.min(1, (this.#done ?? 0) / total);
  }
}

/** Consecutive works of one command that count different things. */
export class StepBars<What extends string> {
  readonly #begin: (what: What) => Progress;
  #what: What | undefined;
  #bar: Progress | undefined;

  /** `describe` gives the title of a work, and what its numbers are. */
  constructor(
    context: ProgressContext,
    describe: (what: What) => { readonly title: string; readonly textOf: (number: number) => string },
  ) {
    const pace = new Pace(context.io);
    this.#begin = (what) => {
      const { title, textOf } = describe(what);
      return progressBar(context, title, textOf, pace);
    };
  }

  show({
    what,
    done,
    total,
  }: {
    readonly what: What;
    readonly done: number;
    readonly total?: number | undefined;
  }): void {
    if (what !== this.#what) {
      this.end();
      this.#bar = this.#begin(what);
      this.#what = what;
    }
    this.#bar?.update(done, total);
  }

  end(): void {
    this.#bar?.end();
    this.#what = undefined;
  }
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Returns a bar of `share` (0 to 1), in eighths of a column. A nonzero share is visible. */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const shown = share > 0 ? Math.max(1, eighths) : 0;
  return '█'.repeat(Math.floor(shown / 8)) + (EIGHTHS[shown % 8] ?? '');
}
