import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A script of `children/` in its own process, and what it sends. */
export interface Child<Message> {
  readonly process: ChildProcess;
  /** What it sent so far, in order. */
  readonly messages: readonly Message[];
  /** Resolves with its exit code, or with the signal that ended it, when all that it sent has come. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Starts a script with arguments; `onMessage` is called as each message comes. */
export function startChild<Message>(
  script: URL,
  args: readonly string[],
  onMessage: (message: Message, child: ChildProcess) => void = () => undefined,
): Child<Message> {
  const child = fork(fileURLToPath(script), [...args], { stdio: ['pipe', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  const messages: Message[] = [];
  child.on('message', (message) => {
    messages.push(message as Message);
    onMessage(message as Message, child);
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  return { process: child, messages, ended };
}

/** Sends a message to the process that started this one; resolves when the system has it. */
export function tellParent(message: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) throw new Error('start this script from its test');
    process.send(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}
