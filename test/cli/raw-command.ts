import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { COMMAND_PROTOCOL, FrameChannel, fromClient, fromServer, objectOf } from '../../src/server/command/frames.js';

/** The request of a client for a connection of frames; `headers` each with its line end. */
export function upgradeRequest(headers = ''): string {
  return `GET /command HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${COMMAND_PROTOCOL}\r\n${headers}\r\n`;
}

/** Connects up to the frames: to a socket, or a port of loopback. */
export async function upgraded(t: ExecutionContext, at: string | number, headers = ''): Promise<Socket> {
  const socket = typeof at === 'string' ? connect(at) : connect(at, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.write(upgradeRequest(headers));
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  t.regex(bytes.toString(), /^HTTP\/1\.1 101 /);
  return socket;
}

/** What a server did for a frame. */
interface RawRan {
  readonly code: unknown;
  readonly declined: unknown;
  readonly stdout: string;
  readonly stderr: string;
  /** What it asked of the client, beside to flush. */
  readonly asked: readonly unknown[];
}

/** The first frame of a client, as its words are. */
export function startFrame(argv: readonly string[], env: Readonly<Record<string, string>> = {}): object {
  const output = { isTTY: false, columns: 0 };
  return { argv, env, now: Date.now(), timeZone: 'UTC', actor: 'raw@test', stdout: output, stderr: output };
}

/** Has a server run a command line by a hand-made frame; its standard input is empty. */
export async function runRaw(
  t: ExecutionContext,
  path: string,
  argv: readonly string[],
  { env = {}, headers = '' }: { readonly env?: Readonly<Record<string, string>>; readonly headers?: string } = {},
): Promise<RawRan> {
  const socket = await upgraded(t, path, headers);
  const channel = new FrameChannel(socket, Buffer.alloc(0));
  await channel.json(fromClient.start, startFrame(argv, env));
  const texts = { [fromServer.stdout]: '', [fromServer.stderr]: '' };
  const asked: unknown[] = [];
  for await (const { kind, payload } of channel.frames()) {
    if (kind === fromServer.stdout || kind === fromServer.stderr) texts[kind] += payload.toString();
    if (kind === fromServer.request) {
      const { id, action } = objectOf({ kind, payload });
      if (action !== 'flush') asked.push(action);
      const error = { name: 'Error', message: 'this client does nothing' };
      await channel.json(fromClient.reply, action === 'flush' ? { id } : { id, error });
    }
    if (kind === fromServer.pull) await channel.json(fromClient.end, { stream: objectOf({ kind, payload })['stream'] });
    if (kind !== fromServer.exit) continue;
    socket.destroy();
    const { code, declined } = objectOf({ kind, payload });
    return { code, declined, stdout: texts[fromServer.stdout], stderr: texts[fromServer.stderr], asked };
  }
  throw new Error('the server sent no exit code');
}
