/** A progress line; silent without a terminal. */
export interface ProgressBar {
  update(done: number): void;
  end(): void;
}

const REDRAW_INTERVAL_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';

/** Creates a bar named `title` of `total` steps on standard error; the caller ends it. */
export function progressBar(title: string, total: number): ProgressBar {
  const { stderr } = process;
  if (!stderr.isTTY) return { update: () => undefined, end: () => undefined };
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    update: (done) => {
      if (performance.now() - drawnAt < REDRAW_INTERVAL_MS) return;
      drawnAt = performance.now();
      stderr.write(`${CLEAR_LINE}${title} ${Math.floor((100 * done) / total)} %, ${done} of ${total}`);
    },
    end: () => void stderr.write(CLEAR_LINE),
  };
}
