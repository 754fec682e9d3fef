/** A line that shows how far something long is; silent where nobody watches. */
export interface ProgressBar {
  update(done: number): void;
  /** Removes the line. */
  end(): void;
}

const REDRAW_INTERVAL_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';

/** Returns a bar named `title` on the standard error, of `total` steps; the caller ends it. */
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
