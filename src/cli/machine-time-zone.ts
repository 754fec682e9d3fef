import { readlinkSync } from 'node:fs';
import { isTimeZone, systemTimeZone, UTC } from '../model/time-zone.js';

/** Where the system says which zone it is in: a link to the rules of that zone. */
const LOCAL_TIME = '/etc/localtime';

/**
 * Returns the machine's zone, where `wanted` is its variable `TZ`; a notice says so when that names
 * another one that is not known.
 */
export function machineTimeZone(wanted: string | undefined, onNotice: (notice: string) => void): string {
  const name = wanted?.replace(/^:/, '') ?? '';
  if (isUtc(name)) return UTC;
  const zone = systemTimeZone();
  // A path has led to the zone of the file.
  const isLost = name !== '' && !isTimeZone(name) && /^(?:UTC|Etc\/.*)$/.test(zone);
  if (isLost) onNotice(`TZ=${name} is not an IANA time zone, like America/New_York: times are in ${zone}`);
  return zone;
}

// Most machines that run without people are in UTC, and the first use of `Intl` takes 15 ms.
function isUtc(name: string): boolean {
  if (name !== '') return name === UTC;
  try {
    return /\/zoneinfo\/(?:Etc\/)?UTC$/.test(readlinkSync(LOCAL_TIME));
  } catch {
    return false;
  }
}
