/**
 * Why some bytes are not the JSON that was expected. Whoever asked turns it into
 * a StoreError of their own code, with this as the cause.
 */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  /** What the message says without the place. */
  readonly problem: string;
  /** Names of the fields from the top down to the place, joined by dots; empty for the top or for a syntax error. */
  readonly path: string;

  constructor(problem: string, path = '') {
    super(path === '' ? problem : `${path}: ${problem}`);
    this.problem = problem;
    this.path = path;
  }
}

/** Why some bytes are refused although they may well be JSON: they nest deeper, or hold more values, than allowed. */
export class JsonLimitError extends JsonError {}

/** Returns `error` with `name` put before its path when it is a JsonError, else as it is. */
export function withinField(name: string, error: unknown): unknown {
  if (!(error instanceof JsonError)) return error;
  return new JsonError(error.problem, error.path === '' ? name : `${name}.${error.path}`);
}
