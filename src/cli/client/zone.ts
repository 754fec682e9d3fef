import { readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { machineTimeZone } from '../machine-time-zone.js';

/** Rules of time zones, each in a file of its name. */
const ZONES = '/usr/share/zoneinfo';
const LOCAL_TIME = '/etc/localtime';

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
