import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { COMMAND_PROTOCOL, fromClient } from '../../src/server/command/frames.js';
import { createServer } from '../../src/server/create-server.js';
import type { RequestReport } from '../../src/server/service/access-log.js';
import type { Access } from '../../src/server/access/access.js';
import { openTestStore } from '../support/test-store.js';

const nobody: Access = {
  authenticate: async () => ({
    actor: undefined,
    isLoggedIn: false,
    hasRights: false,
    mayNameActor: false,
    may: () => false,
  }),
  challenge: () => 'Basic realm="imagelog"',
  sessionToken: () => undefined,
};

/** Asks for a command, and returns the reports of the server once the connection has ended. */
async function asked(t: ExecutionContext, access?: Access): Promise<RequestReport[]> {
  const store = await openTestStore(t);
  const reports: RequestReport[] = [];
  const runCommand = async (): Promise<void> => Promise.resolve();
  const server = createServer(store, { access, runCommand, onRequest: (report) => void reports.push(report) });
  const http = createHttpServer(server.listener).on('upgrade', server.upgrade).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(async () => {
    await server.close();
    http.close();
  });
  const socket = connect((http.address() as AddressInfo).port, '127.0.0.1');
  const lines = ['GET /command HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'X-Request-ID: R-1'];
  socket.write(`${[...lines, `Upgrade: ${COMMAND_PROTOCOL}`].join('\r\n')}\r\n\r\n`);
  const start = Buffer.alloc(5);
  start.writeUInt8(fromClient.start, 0);
  socket.resume().write(start);
  await once(socket, 'close');
  return reports;
}

test('a command that a server ran is a line of its log', async (t) => {
  const [report] = await asked(t);
  t.like(report, {
    method: 'GET',
    path: '/command',
    route: '/command',
    status: 101,
    address: '127.0.0.1',
    requestId: 'R-1',
  });
});

test('a refused one too, with the reason', async (t) => {
  const [report] = await asked(t, nobody);
  t.like(report, { path: '/command', status: 401, code: 'UNAUTHORIZED', reason: 'no credentials to run commands' });
});
