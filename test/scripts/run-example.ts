import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** What a run of an example left. */
export interface ExampleRun {
  readonly code: number | null;
  /** What it wrote to its standard output, a line an entry. */
  readonly lines: readonly string[];
  readonly stderr: string;
}

export interface ExampleOptions {
  /** JavaScript that runs in the child before the example. */
  readonly before?: string;
}

/** Runs an example of `scripts/examples` as its own process, to its end. */
export async function runExample(
  name: string,
  args: readonly string[],
  { before = '' }: ExampleOptions = {},
): Promise<ExampleRun> {
  const preload = `data:text/javascript,${encodeURIComponent(before)}`;
  const script = fileURLToPath(new URL(`../../scripts/examples/${name}.js`, import.meta.url));
  const child = spawn(process.execPath, ['--import', preload, script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  return { code, lines: stdout.split('\n').slice(0, -1), stderr };
}
