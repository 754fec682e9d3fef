import { readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isTimeZone, systemTimeZone, UTC } from '../model/time-zone.js';

/** Where the system says which zone it is in: a link to the rules of that zone. */
const LOCAL_TIME = '/etc/localtime';

/** Rules of time zones, each in a file of its name. */
const ZONES = '/usr/share/zoneinfo';

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
  return name === '' ? /^(?:Etc\/)?UTC$/.test(linkedZone() ?? '') : name === UTC;
}

/** A time zone, and what the user should know of it. */
interface Zone {
  readonly timeZone: string;
  readonly notice?: string;
}

/** Returns the machine's zone, as `machineTimeZone`; for usual names without the cost of `Intl`. */
export function zoneOf(wanted: string | undefined): Zone {
  const name = wanted?.replace(/^:/, '') || linkedZone();
  // The file says that there is such a zone; `Etc` and others have names that are spelled in more ways.
  if (
    name !== undefined &&
    /^(?:Africa|America|Asia|Australia|Europe|Pacific)\/[A-Za-z_/-]+$/.test(name) &&
    isFile(name)
  ) {
    return { timeZone: name };
  }
  let notice: string | undefined;
  const timeZone = machineTimeZone(wanted, (text) => {
    notice = text;
  });
  return notice === undefined ? { timeZone } : { timeZone, notice };
}

function linkedZone(): string | undefined {
  try {
    return /\/zoneinfo\/(.+)$/.exec(readlinkSync(LOCAL_TIME))?.[1];
  } catch {
    // No link: `Intl` compares the rules in it.
    return undefined;
  }
}

function isFile(name: string): boolean {
  return statSync(join(ZONES, name), { throwIfNoEntry: false })?.isFile() === true;
}
