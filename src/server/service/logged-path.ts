/** Names of a query whose values are no secrets: those of the routes. */
const SHOWN: ReadonlySet<string> = new Set([
  'n',
  'last',
  'digest',
  'digest-algorithm',
  'mount',
  'from',
  'tag',
  'artifactType',
  'after',
  'to',
  'type',
  'image',
  'reference',
  'chainId',
  'actor',
  'requestId',
  'reasonIncludes',
  'limit',
  'follow',
  'format',
  'data',
  'holder',
  'wait',
  'until',
  'since',
  'seq',
  'size',
  'all',
  'filters',
  'force',
  'fromImage',
  'fromSrc',
  'names',
  'noprune',
  'platform',
  'quiet',
  'repo',
]);

/** Returns path and query of a URL for a log; values of other names than those of routes are `…`. */
export function loggedPath(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const whole = start < 0 ? '/' : url.slice(start);
  const at = whole.indexOf('?');
  if (at < 0) return whole;
  const parts = whole
    .slice(at + 1)
    .split('&')
    .map(shown);
  return `${whole.slice(0, at)}?${parts.join('&')}`;
}

function shown(part: string): string {
  const [name = '', value] = part.split('=', 2);
  // A part without a value may be anything, also a secret.
  if (value === undefined) return SHOWN.has(name) ? name : '…';
  return SHOWN.has(name) ? part : `${name}=…`;
}
