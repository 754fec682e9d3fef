import type { Command } from 'commander';

/** What is known of a command before it is loaded. */
export interface NamedCommand {
  readonly usage: string;
  readonly kind?: string;
  readonly past?: boolean;
}

/** The name of the command that `imagelog at` runs others in. */
export const PAST_PROGRAM = 'WHEN';

/**
 * The command line as far as it was understood: completes the commands that hints name, so that they
 * can be copied and run.
 */
export class TypedLine {
  readonly #commands: readonly NamedCommand[];
  #command: Command | undefined;

  constructor(commands: readonly NamedCommand[]) {
    this.#commands = commands;
  }

  /** Notes the command that is about to be parsed. */
  enter(command: Command): void {
    this.#command = command;
  }

  /** The command that shows how the one typed is used. */
  get help(): string {
    const names = this.#levels()
      .map((command) => command.name())
      .reverse();
    return ['imagelog help', ...names.slice(names.indexOf(PAST_PROGRAM) + 1)].join(' ');
  }

  /**
   * Returns `hint` with the options that were typed in each command that it names: the store, the
   * point in time for those that read, if `isPast`, the actor for those that write.
   */
  complete(hint: string, isPast = true): string {
    return hint.replaceAll(/`imagelog ([a-z-]+)([^`]*)`/g, (whole, name: string, rest: string) => {
      const entry = this.#commands.find(({ usage }) => usage.split(' ')[0] === name);
      if (entry === undefined || rest.includes('--store')) return whole;
      const options = [
        ...this.#typed('store', '--store'),
        ...(entry.kind === 'writes' ? this.#typed('actor', '--actor') : []),
      ];
      const past = isPast && entry.past === true ? this.#past() : [];
      return `\`${['imagelog', ...options, ...past, name].join(' ')}${rest}\``;
    });
  }

  #typed(option: string, flag: string): string[] {
    const value = this.#levels(true).map((command) => command.opts<Record<string, unknown>>()[option]);
    const typed = value.find((each) => typeof each === 'string');
    return typeof typed === 'string' ? [flag, quoted(typed)] : [];
  }

  #past(): string[] {
    const when = this.#levels().find((command) => command.name() === 'at')?.args[0];
    if (when !== undefined) return ['at', quoted(when)];
    const at: unknown = this.#command?.opts<{ readonly at?: unknown }>().at;
    if (at === undefined) return [];
    // A bare number may be refused as a year.
    if (typeof at === 'number') return ['at', `@${at}`];
    return ['at', quoted(at instanceof Date ? at.toISOString() : String(at))];
  }

  /** The commands typed, the innermost first; with the program only if asked for. */
  #levels(withProgram = false): Command[] {
    const levels: Command[] = [];
    for (let each = this.#command; each !== undefined; each = each.parent ?? undefined) {
      if (withProgram || each.parent !== null) levels.push(each);
    }
    return levels;
  }
}

/** Quotes a word for a shell, where it needs quotes. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
