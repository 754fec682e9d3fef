import cliProgress from 'cli-progress';
import type { CommandContext } from '../context.js';
import { sizeText } from './size-text.js';

/** A bar on the standard error that shows how far a load or a save is; silent where nobody watches. */
export interface Progress {
  /** Shows `bytes` done of `total`, which may be unknown. */
  update(bytes: number, total: number | undefined): void;
  /** Takes the bar away. */
  end(): void;
}

const silent: Progress = {
  update: () => undefined,
  end: () => undefined,
};

/** Returns a progress bar named `title`, on a terminal and unless `--quiet`; the caller ends it. */
export function progressBar({ err, quiet }: CommandContext, title: string): Progress {
  if (!err.isTerminal || quiet) return silent;
  const bar = new cliProgress.SingleBar({
    stream: err.stream,
    clearOnComplete: true,
    hideCursor: true,
    barsize: Math.max(10, Math.min(40, (err.columns ?? 80) - title.length - 32)),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    // The command line stops it itself, on every way out.
    gracefulExit: false,
    format: (options, params, payload: { readonly isKnown: boolean }) => {
      const done = sizeText(params.value);
      if (!payload.isKnown) return `${title}  ${done}`;
      return `${title}  ${cliProgress.Format.BarFormat(params.progress, options)}  ${done} of ${sizeText(params.total)}`;
    },
  });
  let isStarted = false;
  return {
    update: (bytes, total) => {
      const payload = { isKnown: total !== undefined };
      if (!isStarted) bar.start(total ?? 0, bytes, payload);
      isStarted = true;
      bar.update(bytes, payload);
    },
    end: () => {
      if (isStarted) bar.stop();
    },
  };
}
