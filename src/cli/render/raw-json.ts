import { printable } from '../../model/texts.js';
import { endOfString } from './text.js';

/** Valid JSON that is printed as it was written: JSON.parse would round its numbers and drop repeated keys. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Like `jsonText`; each RawJson in `value` keeps its texts and numbers, only the space between them is ours. */
export function rawJsonText(value: unknown, indent = 0): string {
  const out = new JsonLayout(indent);
  write(value, out);
  return out.text.split('\n').map(printable).join('\n');
}

function write(value: unknown, out: JsonLayout): void {
  if (value instanceof RawJson) writeRaw(value.text, out);
  else if (Array.isArray(value)) {
    out.open('[');
    value.forEach((item, at) => {
      if (at > 0) out.next();
      write(item ?? null, out);
    });
    out.close(']');
  } else if (typeof value === 'object' && value !== null) {
    out.open('{');
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    for (const [at, [key, field]] of fields.entries()) {
      if (at > 0) out.next();
      out.put(JSON.stringify(key));
      out.colon();
      write(field, out);
    }
    out.close('}');
  } else out.put(JSON.stringify(value) ?? 'null');
}

function writeRaw(text: string, out: JsonLayout): void {
  for (let at = 0; at < text.length; ) {
    const start = at;
    const character = text[at++] as string;
    if (character === '{' || character === '[') out.open(character);
    else if (character === '}' || character === ']') out.close(character);
    else if (character === ',') out.next();
    else if (character === ':') out.colon();
    else if (!SPACE.has(character)) {
      at = character === '"' ? endOfString(text, start) : endOfWord(text, at);
      out.put(text.slice(start, at));
    }
  }
}

const SPACE: ReadonlySet<string> = new Set(' \t\n\r');
const END_OF_WORD: ReadonlySet<string> = new Set(' \t\n\r,:]}');

function endOfWord(text: string, start: number): number {
  let at = start;
  while (at < text.length && !END_OF_WORD.has(text[at] as string)) at++;
  return at;
}

/** Lays out tokens of JSON as JSON.stringify does: on one line, or indented. */
class JsonLayout {
  readonly #indent: string;
  readonly #parts: string[] = [];
  #depth = 0;
  /** Whether a bracket was opened just now: an empty one has no lines. */
  #isEmpty = false;

  constructor(indent: number) {
    this.#indent = ' '.repeat(indent);
  }

  get text(): string {
    return this.#parts.join('');
  }

  open(bracket: string): void {
    this.put(bracket);
    this.#depth += 1;
    this.#isEmpty = true;
  }

  close(bracket: string): void {
    this.#depth -= 1;
    if (!this.#isEmpty) this.#line();
    this.#isEmpty = false;
    this.#parts.push(bracket);
  }

  next(): void {
    this.#parts.push(',');
    this.#line();
  }

  colon(): void {
    this.#parts.push(this.#indent === '' ? ':' : ': ');
  }

  put(token: string): void {
    if (this.#isEmpty) this.#line();
    this.#isEmpty = false;
    this.#parts.push(token);
  }

  #line(): void {
    if (this.#indent !== '') this.#parts.push(`\n${this.#indent.repeat(this.#depth)}`);
  }
}
