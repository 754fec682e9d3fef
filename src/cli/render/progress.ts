import cliProgress from 'cli-progress';
import type { CommandContext } from '../context.js';
import { displayWidth, sizeText, truncate } from './text.js';

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

/** A bar on the standard error that shows how far a load or a save is; silent where nobody watches. */
export interface Progress {
  /** Shows `bytes` done of `total`, which may be unknown. */
  update(bytes: number, total: number | undefined): void;
  /** Takes the bar away. */
  end(): void;
}

const LEAST_COLUMNS = 40;
const LEAST_BAR_COLUMNS = 10;
const SIZE_COLUMNS = '    999 MB of 999 MB '.length;

const silent: Progress = {
  update: () => undefined,
  end: () => undefined,
};

/** Returns a progress bar named `title`, of bytes or what `textOf` writes, on a terminal and unless `--quiet`; the caller ends it. */
export function progressBar(
  { err, quiet }: CommandContext,
  title: string,
  textOf: (number: number) => string = sizeText,
): Progress {
  if (!err.isTerminal || quiet) return silent;
  const columns = err.columns ?? LEAST_COLUMNS;
  // A bar that is wider than the terminal leaves a line behind each time it is drawn.
  const shown = truncate(title, Math.max(1, columns - LEAST_BAR_COLUMNS - SIZE_COLUMNS));
  const bar = new cliProgress.SingleBar({
    stream: err.stream,
    clearOnComplete: true,
    hideCursor: true,
    barsize: Math.max(LEAST_BAR_COLUMNS, Math.min(40, columns - displayWidth(shown) - SIZE_COLUMNS)),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    // The command line stops it itself, on every way out.
    gracefulExit: false,
    format: (options, params, payload: { readonly isKnown: boolean }) => {
      const done = textOf(params.value);
      if (!payload.isKnown) return `${shown}  ${done}`;
      return `${shown}  ${cliProgress.Format.BarFormat(params.progress, options)}  ${done} of ${textOf(params.total)}`;
    },
  });
  let isStarted = false;
  return {
    update: (bytes, total) => {
      const payload = { isKnown: total !== undefined };
      if (!isStarted) bar.start(total ?? 0, bytes, payload);
      isStarted = true;
      if (total !== undefined) bar.setTotal(total);
      bar.update(bytes, payload);
    },
    end: () => {
      if (isStarted) bar.stop();
    },
  };
}
