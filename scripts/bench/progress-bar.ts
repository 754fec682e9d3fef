import cliProgress from 'cli-progress';

/** A bar that shows how far something long is; silent where nobody watches. */
export interface ProgressBar {
  update(done: number): void;
  /** Takes the bar away. */
  end(): void;
}

/** Returns a bar named `title` on the standard error, of `total` steps; the caller ends it. */
export function progressBar(title: string, total: number): ProgressBar {
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    format: `${title} {bar} {value} of {total}, {eta_formatted} left`,
  });
  bar.start(total, 0);
  return { update: (done) => bar.update(done), end: () => bar.stop() };
}
