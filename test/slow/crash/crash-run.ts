import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Recorded } from './journal.js';
import type { CrashedStore } from './check-store.js';
import { SeededRandom } from './seeded-random.js';

/** Rounds of the longest part; the others have their share of it. CI runs as many as fit into its time. */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 200);
/** What the random moments follow from: the same seed kills at the same moments, as far as the machine is as fast. */
const SEED = process.env.CRASH_SEED ?? randomBytes(6).toString('hex');

/** What one part of the suite did, to be printed at its end. */
interface Figures {
  rounds: number;
  /** Processes killed, and calls of the system that failed on purpose. */
  faults: number;
  /** Requests that were acknowledged. */
  acknowledged: number;
  /** Everything that was not as it must be. */
  losses: number;
}

/** One part of the suite: where its stores are, its random numbers, and what it found. */
export class CrashRun {
  readonly title: string;
  readonly random: SeededRandom;
  readonly figures: Figures = { rounds: 0, faults: 0, acknowledged: 0, losses: 0 };
  readonly wrong: string[] = [];
  readonly #t: ExecutionContext;
  readonly #root: string;
  #stores = 0;

  constructor(t: ExecutionContext) {
    this.#t = t;
    this.title = t.title;
    this.random = new SeededRandom(`${SEED} ${t.title}`);
    this.#root = mkdtempSync(join(tmpdir(), 'imagelog-crash-'));
  }

  /** Rounds for a part that should have `share` of the longest part's; no fewer than `least`. */
  rounds(share: number, least = 0): number {
    return Math.max(least, Math.round(ROUNDS * share));
  }

  /** Returns the places of a store that does not exist yet, below `root`, and of its journal, which lies elsewhere. */
  newStore(root = this.#root): CrashedStore {
    const name = `${this.#stores++}`;
    const journal = join(this.#root, `${name}.journal`);
    return { directory: join(root, name), journal, recorded: new Recorded(journal) };
  }

  /** Takes note of what a round found wrong, with what the round was. */
  note(round: string, wrong: readonly string[]): void {
    this.figures.losses += wrong.length;
    // The first tell what went wrong; a hundred that follow from them do not.
    for (const what of wrong.slice(0, 20)) this.wrong.push(`${round}: ${what}`);
  }

  log(...what: string[]): void {
    this.#t.log(...what);
  }

  /** Ends the run; the files of one that found something are kept. */
  end(): void {
    if (this.wrong.length === 0) rmSync(this.#root, { recursive: true, force: true });
    else this.#t.log(`CRASH_SEED=${SEED} CRASH_ROUNDS=${ROUNDS}; what was found lies in ${this.#root}`);
  }
}

/** Returns what the parts of the suite did, as a table in Markdown, with the seed below it. */
export function formatFigures(runs: readonly CrashRun[]): string {
  const rows = runs.map(({ title, figures }) => [title, ...Object.values(figures).map(String)]);
  const totals = ['rounds', 'faults', 'acknowledged', 'losses'].map((name) =>
    String(runs.reduce((sum, { figures }) => sum + figures[name as keyof Figures], 0)),
  );
  const table = [['', 'rounds', 'faults', 'acknowledged', 'losses'], ['---', '---:', '---:', '---:', '---:'], ...rows];
  const lines = [...table, ['all', ...totals]].map((cells) => `| ${cells.join(' | ')} |`);
  return [...lines, '', `CRASH_SEED=${SEED} CRASH_ROUNDS=${ROUNDS}`].join('\n');
}
