import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Connections that are opened at once. */
const AT_ONCE = 250;
/** What a follower hears once it has all events. */
const CAUGHT_UP = 'event: caught-up';

/** Followers of the feed that hear nothing but heartbeats. Disposal ends their connections. */
export interface IdleFollowers extends AsyncDisposable {
  readonly count: number;
}

/** Opens `count` answers of `/events` for events that do not come, and waits until all are caught up. */
export async function followIdly(port: number, count: number): Promise<IdleFollowers> {
  const sockets: Socket[] = [];
  const path = '/events?reference=docker.io%2Fbench%2Fnever%3Apushed';
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n\r\n`;
  const follow = async (): Promise<void> => {
    const socket = connect({ port, host: '127.0.0.1' });
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write(request);
    await caughtUp(socket);
  };
  while (sockets.length < count) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, follow));
  }
  return {
    count,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        sockets.map((socket) => {
          const closed = once(socket, 'close');
          socket.destroy();
          return closed;
        }),
      );
    },
  };
}

function caughtUp(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const take = (data: Buffer): void => {
      text += data.toString('latin1');
      if (!text.includes(CAUGHT_UP)) return;
      socket.off('data', take).resume();
      resolve();
    };
    socket.on('data', take);
    socket.once('error', reject).once('close', () => reject(new Error(`a follower was cut: ${text.slice(0, 200)}`)));
  });
}
