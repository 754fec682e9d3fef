import { UsageError } from '../usage-error.js';

/**
 * Returns a matcher of whole texts by a pattern as Go's path.Match has them,
 * which is what Docker's `reference` filter uses: `*` and `?` stop at a slash,
 * `[a-z]` and `[^a-z]` are one character, a backslash takes the next character as it is.
 * @throws {UsageError} when a bracket is not closed or is empty
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  const parts = [...pattern.matchAll(/\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|([*]+)|(\?)|([^\\[\]*?])|(.)/gsu)];
  const source = parts.map(([, escaped, negated, set, stars, one, plain, broken]) => {
    if (broken !== undefined)
      throw new UsageError(`cannot read the pattern ${pattern}: a bracket or backslash stands alone`);
    if (set !== undefined) return `(?!/)[${negated ?? ''}${escapeSet(set)}]`;
    if (stars !== undefined) return '[^/]*';
    if (one !== undefined) return '[^/]';
    return escapeText(escaped ?? plain ?? '');
  });
  const expression = compile(source.join(''), pattern);
  return (text) => expression.test(text);
}

function compile(source: string, pattern: string): RegExp {
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch (error) {
    throw new UsageError(`cannot read the pattern ${pattern}: a range in brackets is backwards`, { cause: error });
  }
}

function escapeText(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function escapeSet(set: string): string {
  return set.replace(/\\(.)/gsu, '$1').replace(/[\\[\]^]/g, '\\$&');
}
