#!/usr/bin/env node
import { join } from 'node:path';
import { KeptScripts } from './kept-scripts.js';
import type * as Command from './process.js';

/* Start of the published command, which runs bundled scripts from compiled code that it keeps. */

/** File of the script that runs the command; its name has a digest of its code. */
declare const FIRST_SCRIPT: string;

async function main(): Promise<void> {
  const scripts = new KeptScripts(join(__dirname, 'command'), process.env, process.geteuid?.());
  const { runProcess } = scripts.load(FIRST_SCRIPT) as typeof Command;
  scripts.keep(await runProcess());
}

void main();
