import type { CommandContext } from '../context.js';
import type { CliIo } from '../output.js';
import { displayWidth, truncate } from './display-width.js';
import { sizeText } from './text.js';

/** A bar on the standard error that shows how far a command is; silent where nobody watches. */
export interface Progress {
  /** Shows `done` of `total`, which may be unknown. */
  update(done: number, total: number | undefined): void;
  /** Removes the bar. */
  end(): void;
}

const LEAST_COLUMNS = 40;
const LEAST_BAR_COLUMNS = 10;
const SIZE_COLUMNS = '    999 MB of 999 MB '.length;
/** A terminal that draws more often slows the command down. */
const REDRAW_INTERVAL_MS = 100;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_LINE = '\r\u001b[2K';

/** Returns a bar named `title`, of bytes or what `textOf` writes, on a terminal and unless `--quiet`; the caller ends it. */
export function progressBar(
  { err, quiet, io }: Pick<CommandContext, 'err' | 'quiet'> & { readonly io: Pick<CliIo, 'now'> },
  title: string,
  textOf: (number: number) => string = sizeText,
): Progress {
  if (!err.isTerminal || quiet) return { update: () => undefined, end: () => undefined };
  const columns = err.columns ?? LEAST_COLUMNS;
  // A line that is wider than the terminal would stay behind each time it is drawn.
  const shown = truncate(title, Math.max(1, columns - LEAST_BAR_COLUMNS - SIZE_COLUMNS));
  const barColumns = Math.max(LEAST_BAR_COLUMNS, Math.min(40, columns - displayWidth(shown) - SIZE_COLUMNS));
  let drawnAt: number | undefined;
  let state: readonly [done: number, total: number | undefined] = [0, 0];
  const draw = (): void => void err.stream.write(`${CLEAR_LINE}${shown}  ${stateText(...state, barColumns, textOf)}`);
  return {
    update: (done, total) => {
      const now = io.now();
      state = [done, total];
      if (drawnAt === undefined) err.stream.write(HIDE_CURSOR);
      else if (Math.abs(now - drawnAt) < REDRAW_INTERVAL_MS) return;
      drawnAt = now;
      draw();
    },
    end: () => {
      if (drawnAt === undefined) return;
      drawnAt = undefined;
      // How far it came shows until the line goes, also where all of it was quick.
      draw();
      err.stream.write(`${CLEAR_LINE}${SHOW_CURSOR}`);
    },
  };
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

/**
 * Returns a horizontal bar of `share` (0 to 1) of `columns` columns, to an
 * eighth of a column. A share above zero always shows.
 */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const shown = share > 0 ? Math.max(1, eighths) : 0;
  return '█'.repeat(Math.floor(shown / 8)) + (EIGHTHS[shown % 8] ?? '');
}
