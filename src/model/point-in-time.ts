/** What a text of RFC 3339 stands for: from its first millisecond since the epoch to its last. */
export interface Moment {
  readonly first: number;
  readonly last: number;
}

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[Tt ]((?:[01]\d|2[0-3]):\d\d)(?::(\d\d)(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?$/;
const DAY_MS = 86_400_000;
/** A leap second has no number of its own in the milliseconds since the epoch: it is the end of the second before. */
const LEAP_SECOND = '60';

/**
 * Returns what `text` means: a date, which is all of that day; or a date and a time (RFC 3339, section 5.6), where the seconds and
 * the zone may be absent. What has no zone is UTC. Digits after the third of a fraction are cut: events have milliseconds.
 * Undefined for everything else.
 */
export function parseMoment(text: string): Moment | undefined {
  const match = MOMENT.exec(text);
  if (match === null) return undefined;
  const [, date = '', minute, second = '00', fraction = '', zone = 'Z'] = match;
  if (!isCalendarDate(date)) return undefined;
  if (minute === undefined) {
    const first = Date.parse(`${date}T00:00:00.000Z`);
    return { first, last: first + DAY_MS - 1 };
  }
  const seconds = second === LEAP_SECOND ? '59.999' : second + fraction.slice(0, '.123'.length);
  const time = Date.parse(`${date}T${minute}:${seconds}${zone.toUpperCase()}`);
  return Number.isNaN(time) ? undefined : { first: time, last: time };
}

// Date.parse takes 30 February for 2 March.
function isCalendarDate(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date);
}
