import { localText } from './text.js';

const DAY_MS = 86_400_000;
/** What `toISOString` shows with four digits of the year. */
const FIRST_MS = Date.UTC(1970, 0, 2);
const LAST_MS = Date.UTC(9999, 11, 30);

/**
 * Returns `localText` for many times in order: a format costs as much as the rest of a line, so it
 * is asked once a day for the distance from UTC.
 */
export function timeTexts(timeZone: string | undefined): (timeMs: number) => string {
  let day = Number.NaN;
  let offset: number | undefined;
  return (timeMs) => {
    if (timeMs < FIRST_MS || timeMs > LAST_MS) return localText(timeMs, timeZone);
    const own = Math.floor(timeMs / DAY_MS);
    if (own !== day) {
      day = own;
      offset = offsetOfDay(own * DAY_MS, timeZone);
    }
    if (offset === undefined) return localText(timeMs, timeZone);
    return new Date(timeMs + offset).toISOString().slice(0, '2026-01-31T14:05:09'.length).replace('T', ' ');
  };
}

/** Distance from UTC, in ms; undefined for a day on which it changes. */
function offsetOfDay(startMs: number, timeZone: string | undefined): number | undefined {
  const [first, last] = [startMs, startMs + DAY_MS].map(
    (timeMs) => Date.parse(`${localText(timeMs, timeZone).replace(' ', 'T')}Z`) - timeMs,
  );
  return first === last ? first : undefined;
}
