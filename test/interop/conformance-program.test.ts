import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { startRegistry } from '../server/start-registry.js';
import { testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** The path of the official conformance program of the distribution specification, where somebody has built it. */
const PROGRAM = process.env['IMAGELOG_CONFORMANCE'];

const withProgram = testOrSkip(PROGRAM === undefined ? '$IMAGELOG_CONFORMANCE names no program' : undefined);

/** The versions of the specification that the program knows; `dev` asks for more headers, cancelling and tags as parameters. */
for (const version of ['1.1', 'dev']) {
  withProgram(`the official conformance program passes, version ${version}`, async (t) => {
    const { base } = await startRegistry(t);
    const { code, output } = await runProgram(t, {
      OCI_VERSION: version,
      OCI_REGISTRY: new URL(base).host,
      OCI_TLS: 'disabled',
    });
    t.is(code, 0, output.split('\n').filter(isTelling).join('\n'));
    t.regex(output, /^OCI Conformance Result: Pass$/m);
  });
}

function isTelling(line: string): boolean {
  return /: (FAIL|Error|Skip)$|^ *- /.test(line);
}

interface Run {
  readonly code: number;
  readonly output: string;
}

async function runProgram(t: ExecutionContext, settings: Readonly<Record<string, string>>): Promise<Run> {
  const options = {
    cwd: await temporaryDirectory(t),
    env: { PATH: process.env['PATH'], ...settings },
    maxBuffer: 64 * 1024 * 1024,
  };
  try {
    const { stdout } = await promisify(execFile)(PROGRAM ?? '', [], options);
    return { code: 0, output: stdout };
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout?: unknown };
    if (typeof code !== 'number') throw error;
    return { code, output: String(stdout) };
  }
}
