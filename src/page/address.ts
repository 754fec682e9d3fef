import { canonicalReference } from '../model/reference.js';

/* What the address of the page says after its #: so that a link shows to others what one sees. */

/** What is shown. Every part may be missing. */
export interface Shown {
  /** Moment: an event (`27`) or a time (RFC 3339); undefined for now. */
  readonly at?: string | undefined;
  /** Reference that is chosen, canonical. */
  readonly ref?: string | undefined;
  /** What is searched for. */
  readonly q?: string | undefined;
  /** Image that is looked at. */
  readonly image?: string | undefined;
  /** Moment or image to compare with. */
  readonly from?: string | undefined;
  /** Period of the auditors' part, its beginning and end. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Zone of times: `utc`, or undefined for that of the browser. */
  readonly zone?: string | undefined;
}

const NAMES = ['at', 'ref', 'q', 'image', 'from', 'since', 'until', 'zone'] as const satisfies readonly (keyof Shown)[];

/** Reads an address; unknown parts are left out. What is not a reference is searched for. */
export function parseAddress(hash: string): Shown {
  const parts = new URLSearchParams(hash.replace(/^#/, ''));
  const { ref, ...shown }: Shown = Object.fromEntries(
    NAMES.flatMap((name) => (parts.get(name) ? [[name, parts.get(name)]] : [])),
  );
  if (ref === undefined) return shown;
  try {
    return { ...shown, ref: canonicalReference(ref) };
  } catch {
    return { ...shown, q: ref };
  }
}

/** Returns the address of what is shown, with its #; empty for nothing. */
export function formatAddress(shown: Shown): string {
  const parts = NAMES.flatMap((name) => {
    const value = shown[name];
    return value === undefined || value === '' ? [] : [`${name}=${readable(value)}`];
  });
  return parts.length === 0 ? '' : `#${parts.join('&')}`;
}

/** Encodes what would end a part, and leaves slashes and colons to people. */
function readable(value: string): string {
  return encodeURIComponent(value)
    .replaceAll('%2F', '/')
    .replaceAll('%3A', ':')
    .replaceAll('%40', '@')
    .replaceAll('%20', '+');
}
