import { MAX_ACTOR_BYTES, MAX_AUTHORIZATION_LENGTH } from '../../limits.js';

/** What the header `Authorization` of a request says. */
export type Presented =
  | { readonly scheme: 'none' }
  | { readonly scheme: 'basic'; readonly user: string; readonly password: string }
  | { readonly scheme: 'bearer'; readonly token: string }
  | { readonly scheme: 'other' }
  | { readonly scheme: 'malformed'; readonly why: string };

const NONE: Presented = { scheme: 'none' };
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;
const SCHEME = /^([!#$%&'*+.^_`|~\w-]+)(?: |$)/;
const CONTROLS = /\p{Cc}/u;

/**
 * Reads the values of all headers `Authorization`: Basic (RFC 7617, in UTF-8) and Bearer (RFC 6750).
 * Empty name and password count as none: some clients send them when they have no credentials. The
 * name is in Unicode's form NFC.
 */
export function parseAuthorization(values: readonly string[]): Presented {
  const [value, another] = values;
  if (value === undefined) return NONE;
  if (another !== undefined) return malformed('more than one Authorization header');
  if (value.length > MAX_AUTHORIZATION_LENGTH) {
    return malformed(`an Authorization header of more than ${MAX_AUTHORIZATION_LENGTH} characters`);
  }
  const [, token] = BEARER.exec(value) ?? [];
  if (token !== undefined) return { scheme: 'bearer', token };
  const [, encoded] = BASIC.exec(value) ?? [];
  if (encoded !== undefined) return parseBasic(encoded);
  const scheme = SCHEME.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'basic' || scheme === 'bearer') {
    return malformed('a malformed Authorization header');
  }
  return { scheme: 'other' };
}

function parseBasic(encoded: string): Presented {
  const bytes = Buffer.from(encoded, 'base64');
  // Node skips what is not base64; only one text may stand for a name and password.
  if (unpadded(bytes.toString('base64')) !== unpadded(encoded)) return malformed('malformed base64 in Basic');
  const text = utf8(bytes);
  if (text === undefined) return malformed('a name or password that is not UTF-8');
  if (CONTROLS.test(text)) return malformed('a control character in a name or password');
  const colon = text.indexOf(':');
  if (colon === -1) return malformed('no colon after the name in Basic');
  const [user, password] = [text.slice(0, colon).normalize('NFC'), text.slice(colon + 1)];
  if (Buffer.byteLength(user) > MAX_ACTOR_BYTES) return malformed(`a name of more than ${MAX_ACTOR_BYTES} bytes`);
  return user === '' && password === '' ? NONE : { scheme: 'basic', user, password };
}

function unpadded(base64: string): string {
  return base64.replaceAll('=', '');
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function malformed(why: string): Presented {
  return { scheme: 'malformed', why };
}
