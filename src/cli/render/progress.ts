import type { CommandContext } from '../context.js';
import type { CliIo } from '../output.js';
import { displayWidth, truncate } from './display-width.js';
import { sizeText } from './text.js';

/** A progress bar on standard error; silent without a terminal. */
export interface Progress {
  /** Shows `done` of `total`, which may be unknown. */
  update(done: number, total: number | undefined): void;
  end(): void;
}

const LEAST_COLUMNS = 40;
const LEAST_BAR_COLUMNS = 10;
const SIZE_COLUMNS = '    999 MB of 999 MB '.length;
/** Redrawing more often slows the command down. */
const REDRAW_INTERVAL_MS = 100;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_LINE = '\r\u001b[2K';

/** Creates a bar, in bytes or by `textOf`; hidden off terminals or if quiet. The caller ends it. */
export function progressBar(
  { err, quiet, io }: Pick<CommandContext, 'err' | 'quiet'> & { readonly io: Pick<CliIo, 'now'> },
  title: string,
  textOf: (number: number) => string = sizeText,
): Progress {
  if (!err.isTerminal || quiet) return { update: () => undefined, end: () => undefined };
  const columns = err.columns ?? LEAST_COLUMNS;
  // A line wider than the terminal would leave a copy at each redraw.
  const shown = truncate(title, Math.max(1, columns - LEAST_BAR_COLUMNS - SIZE_COLUMNS));
  const barColumns = Math.max(LEAST_BAR_COLUMNS, Math.min(40, columns - displayWidth(shown) - SIZE_COLUMNS));
  let drawnAt: number | undefined;
  let state = '';
  const draw = (): void => void err.stream.write(`${CLEAR_LINE}${shown}  ${state}`);
  return {
    update: (done, total) => {
      const now = io.now();
      state = stateText(done, total, barColumns, textOf);
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

/** Consecutive bars for steps that count different things. */
export class StepBars<What extends string> {
  readonly #barOf: (what: What) => Progress;
  #what: What | undefined;
  #bar: Progress | undefined;

  constructor(barOf: (what: What) => Progress) {
    this.#barOf = barOf;
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
      this.#bar = this.#barOf(what);
      this.#what = what;
    }
    this.#bar?.update(done, total);
  }

  end(): void {
    this.#bar?.end();
    this.#what = undefined;
  }
}

function stateText(
  done: number,
  total: number | undefined,
  columns: number,
  textOf: (number: number) => string,
): string {
  if (total === undefined) return textOf(done);
  const full = Math.round(total === 0 ? columns : Math.min(1, done / total) * columns);
  return `${'█'.repeat(full)}${'░'.repeat(columns - full)}  ${textOf(done)} of ${textOf(total)}`;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Returns a bar of `share` (0 to 1), in eighths of a column. A nonzero share is visible. */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const shown = share > 0 ? Math.max(1, eighths) : 0;
  return '█'.repeat(Math.floor(shown / 8)) + (EIGHTHS[shown % 8] ?? '');
}
