/** A way to authenticate that a registry offers (RFC 9110, 11.6.1). */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const SCHEME = new RegExp(`^\\s*(${TOKEN})(?:\\s+|$)`);
const PARAMETER = new RegExp(`^\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,]+))\\s*(,|$)`);

/** Parses a `WWW-Authenticate` header; what follows a part that is malformed is ignored. */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header ?? '';
  for (;;) {
    const scheme = SCHEME.exec(rest);
    if (scheme === null) return challenges;
    rest = rest.slice(scheme[0].length);
    const parameters = new Map<string, string>();
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters });
    for (let found = PARAMETER.exec(rest); found !== null; found = PARAMETER.exec(rest)) {
      const [whole, name = '', quoted, plain = ''] = found;
      parameters.set(name.toLowerCase(), quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1'));
      rest = rest.slice(whole.length);
    }
    rest = rest.replace(/^\s*,/, '');
  }
}
