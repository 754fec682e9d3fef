import { BlockList, isIP, isIPv6 } from 'node:net';

/** How a request came, before proxies. */
export interface Forwarded {
  /** The address of the client. */
  readonly address: string;
  readonly isEncrypted: boolean;
}

/** Values of `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded`. */
export interface ForwardedHeaders {
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
    if (text === 'unix') {
      this.#hasUnix = true;
      return;
    }
    const [address = '', bits, ...more] = text.split('/');
    const family = isIP(address);
    const widest = family === 6 ? 128 : 32;
    const isNetwork = bits !== undefined && /^\d{1,3}$/.test(bits) && Number(bits) <= widest;
    if (family === 0 || more.length > 0 || (bits !== undefined && !isNetwork)) {
      throw new TypeError(`a trusted proxy must be ${PROXY_EXPECTED}: ${text}`);
    }
    const type = family === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) this.#networks.addAddress(address, type);
    else this.#networks.addSubnet(address, Number(bits), type);
  }
}

/** Takes off a port, as some proxies add it. */
function bareAddress(text: string): string {
  const [, v6] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? [];
  if (v6 !== undefined) return v6;
  return text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
}
