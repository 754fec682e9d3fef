/** One piece of a strip: a length of time. */
export interface StripPiece {
  readonly durationMs: number;
  /** Shown above the piece where it has room. */
  readonly label: string;
}

// Fewer digits of an id tell nothing apart.
const LEAST_LABEL_COLUMNS = 5;

/** A line of time that has its place on a terminal. */
export interface Strip {
  /** Where each piece begins and ends, in columns. */
  readonly places: readonly { readonly start: number; readonly end: number }[];
  /** The name of each piece, cut to its room; empty when it has none. */
  readonly labels: readonly string[];
}

/**
 * Returns how pieces of time share `columns` columns in proportion, each at least one column wide as long as there are
 * enough for that: what lasted a second is seen beside what lasted a year.
 */
export function layOutStrip(pieces: readonly StripPiece[], columns: number): Strip {
  const ends = endsOf(pieces, columns);
  const places = ends.map((end, at) => ({ start: ends[at - 1] ?? 0, end }));
  return { places, labels: pieces.map(({ label }, at) => labelIn(label, places[at])) };
}

function endsOf(pieces: readonly StripPiece[], columns: number): number[] {
  const total = pieces.reduce((sum, { durationMs }) => sum + durationMs, 0);
  let elapsed = 0;
  const ends = pieces.map(({ durationMs }, at) => {
    elapsed += durationMs;
    // A life of no length is shared evenly.
    return Math.round((total === 0 ? (at + 1) / pieces.length : elapsed / total) * columns);
  });
  if (pieces.length > columns) return ends;
  // Once forwards for a column each, once backwards so that all of them still fit.
  for (let at = 0; at < ends.length; at++) ends[at] = Math.max(ends[at] ?? 0, (ends[at - 1] ?? 0) + 1);
  for (let at = ends.length - 1; at >= 0; at--) {
    ends[at] = Math.min(ends[at] ?? 0, (ends[at + 1] ?? columns + 1) - 1);
  }
  return ends;
}

function labelIn(label: string, place: { readonly start: number; readonly end: number } | undefined): string {
  // A column stays free, so that no name touches the next.
  const room = place === undefined ? 0 : place.end - place.start - 1;
  return room < LEAST_LABEL_COLUMNS ? '' : label.slice(0, room);
}
