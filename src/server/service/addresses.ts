import { BlockList, isIP, isIPv6 } from 'node:net';

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

/** How a request came, before proxies. */
interface Forwarded {
  /** The address of the client. */
  readonly address: string;
  readonly isEncrypted: boolean;
}

/** Values of `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded`. */
interface ForwardedHeaders {
  readonly for: string | undefined;
  readonly proto: string | undefined;
  readonly forwarded: string | undefined;
}

/** What names a trusted proxy. */
export const PROXY_EXPECTED = 'an address, a network such as 10.0.0.0/8, or unix';

/** Proxies whose word on the client's address is taken. */
export class TrustedProxies {
  readonly #networks = new BlockList();
  #hasUnix = false;

  /** @throws {TypeError} for a text that names no proxy */
  constructor(texts: readonly string[] = []) {
    for (const text of texts) this.#add(text);
  }

  /** Whether the peer is a trusted proxy; its address is empty for a unix socket. */
  has(address: string): boolean {
    if (address === '') return this.#hasUnix;
    if (isIP(address) === 0) return false;
    return this.#networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  }

  /**
   * Returns the client that the proxies speak for: the last address of `X-Forwarded-For` that is
   * not a trusted proxy's. Undefined without a trusted proxy, or if it says nothing.
   */
  clientOf(peer: string, headers: ForwardedHeaders): Forwarded | undefined {
    if (!this.has(peer) || headers.for === undefined) return undefined;
    const isEncrypted = headers.proto?.trim().toLowerCase() === 'https';
    const addresses = headers.for.split(',').map((each) => bareAddress(each.trim()));
    const client = addresses.findLast((each) => !this.has(each)) ?? addresses[0] ?? '';
    // Anything may stand before what the proxy itself added.
    return { address: isIP(client) === 0 ? 'unknown' : client, isEncrypted };
  }

  #add(text: string): void {
    const proxy = parseProxy(text);
    if (proxy === undefined) throw new TypeError(`a trusted proxy must be ${PROXY_EXPECTED}: ${text}`);
    if (proxy === 'unix') this.#hasUnix = true;
    else this.#networks.addSubnet(proxy.address, proxy.bits, proxy.family);
  }
}

interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Parses an address or a network, or `unix`. Undefined for anything else. */
export function parseProxy(text: string): Network | 'unix' | undefined {
  if (text === 'unix') return text;
  const [, address = '', bits] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const widest = version === 6 ? 128 : 32;
  if (version === 0 || Number(bits ?? widest) > widest) return undefined;
  return { address, bits: Number(bits ?? widest), family: version === 6 ? 'ipv6' : 'ipv4' };
}

/** Takes off a port, as some proxies add it. */
function bareAddress(text: string): string {
  const [, v6] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? [];
  if (v6 !== undefined) return v6;
  return text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
}
