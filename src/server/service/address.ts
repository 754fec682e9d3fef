import { isIPv6 } from 'node:net';

/** Where a server listens for TCP connections. */
export interface ListenAddress {
  readonly host: string;
  /** 0 for one that the system chooses. */
  readonly port: number;
}

const MAX_PORT = 65_535;

/** What a listen address must be. */
export const ADDRESS_EXPECTED = 'HOST:PORT, such as 127.0.0.1:5000 or [::1]:5000';

/** Parses `HOST:PORT`; an IPv6 host is in brackets. Undefined for anything else. */
export function parseAddress(text: string): ListenAddress | undefined {
  const [, v6, name, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  if (host === undefined || Number(port) > MAX_PORT) return undefined;
  if (v6 !== undefined && !isIPv6(v6)) return undefined;
  return { host, port: Number(port) };
}

/** Returns `HOST:PORT` as in a URL. */
export function addressText({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
