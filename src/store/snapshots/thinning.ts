/**
 * Returns which of the ascending `seqs` go, so that `most` are left. What goes is what leaves the smallest gap behind it, and
 * never the last: so those that stay are spread over the log.
 */
export function thinned(seqs: readonly number[], most: number): number[] {
  const kept = [...seqs];
  const gone: number[] = [];
  while (kept.length > Math.max(1, most)) {
    const [seq] = kept.splice(smallestGap(kept), 1);
    if (seq !== undefined) gone.push(seq);
  }
  return gone;
}

/** Index of the one whose neighbours are nearest to each other; 0 is the neighbour before the first. */
function smallestGap(seqs: readonly number[]): number {
  const gaps = seqs.slice(0, -1).map((_, index) => (seqs[index + 1] ?? 0) - (seqs[index - 1] ?? 0));
  return gaps.indexOf(gaps.reduce((least, gap) => Math.min(least, gap), Number.POSITIVE_INFINITY));
}
