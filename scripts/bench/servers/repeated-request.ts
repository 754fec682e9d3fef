import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A request of HTTP/1.1 that is sent again and again over connections that are kept. */
export interface RepeatedRequest {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** Requests in all. */
  readonly count: number;
}

/**
 * Sends a request `count` times, one at a time on each connection. All answers have one size, that of
 * the first, and are only counted: a client that parses costs as much as the server.
 * @throws {Error} for any other answer
 */
export async function repeatRequest({ port, path, connections, count }: RepeatedRequest): Promise<void> {
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: ${ACCEPT}\r\n\r\n`;
  const size = await sizeOfAnswer(port, request);
  let left = count;
  const work = async (): Promise<void> => {
    const socket = await connected(port);
    try {
      for (; left > 0; ) {
        left -= 1;
        await answered(socket, request, size);
      }
    } finally {
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

function answered(socket: Socket, request: string, size: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const settle = (error?: Error): void => {
      socket.off('data', take).off('error', settle).off('close', cut);
      if (error === undefined) resolve();
      else reject(error);
    };
    const cut = (): void => settle(new Error(`the connection ended after ${received} of ${size} bytes`));
    const take = (data: Buffer): void => {
      const isOther = received === 0 && data.toString('latin1', 0, OK.length) !== OK;
      received += data.length;
      if (isOther) settle(new Error(firstLine(data)));
      else if (received > size) settle(new Error(`an answer has ${received} bytes, expected ${size}`));
      else if (received === size) settle();
    };
    socket.on('data', take).on('error', settle).on('close', cut);
    socket.write(request);
  });
}

/** Docker's registry gives an OCI manifest to those alone who name the type. */
const ACCEPT = 'application/vnd.oci.image.manifest.v1+json, */*';
const OK = 'HTTP/1.1 200';

function firstLine(data: Buffer): string {
  return `the server answered ${data.toString('latin1').split('\r\n', 1)[0]}`;
}

/** Bytes of an answer with its headers, of which no value differs in length from one to the next. */
async function sizeOfAnswer(port: number, request: string): Promise<number> {
  const socket = await connected(port);
  try {
    let head = '';
    socket.write(request);
    for await (const data of socket as AsyncIterable<Buffer>) {
      head += data.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) continue;
      const length = /^content-length: (\d+)\r?$/im.exec(head.slice(0, end + 2))?.[1];
      if (length === undefined) throw new Error(`${firstLine(Buffer.from(head))}, without the length of its body`);
      return end + 4 + Number(length);
    }
    throw new Error('the connection ended before the answer');
  } finally {
    socket.destroy();
  }
}
