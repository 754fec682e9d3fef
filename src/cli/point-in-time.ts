const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const DURATION = /^(?:\d+(?:ms|[smhdw]))+$/;
const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?$/;

/**
 * Returns the moment that `text` means, in ms since the epoch, or undefined
 * when it means none. It may be `now`; a length of time before now (`2h`,
 * `1d12h`); a date, which is its first millisecond, or its last when `edge` is
 * `end`; or RFC 3339, where the seconds and the zone may be absent. What has no zone is UTC.
 */
export function parsePointInTime(text: string, nowMs: number, edge: 'start' | 'end'): number | undefined {
  if (text === 'now') return nowMs;
  if (DURATION.test(text)) return nowMs - durationMs(text);
  const match = MOMENT.exec(text);
  if (match === null) return undefined;
  const [, date = '', minute, second = '00', fraction = '', zone = 'Z'] = match;
  if (!isCalendarDate(date)) return undefined;
  if (minute === undefined) return Date.parse(`${date}T${edge === 'end' ? '23:59:59.999' : '00:00:00.000'}Z`);
  const milliseconds = fraction.slice(0, '.123'.length);
  const time = Date.parse(`${date}T${minute}:${second}${milliseconds}${zone.toUpperCase()}`);
  return Number.isNaN(time) ? undefined : time;
}

function durationMs(text: string): number {
  let sum = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)(ms|[smhdw])/g)) sum += Number(count) * (UNIT_MS[unit] ?? 0);
  return sum;
}

// Date.parse takes 30 February for 2 March.
function isCalendarDate(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date);
}
