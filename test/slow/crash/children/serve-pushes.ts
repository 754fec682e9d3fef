import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from '../../../../src/server/create-server.js';
import { openStore } from '../../../../src/store/open/open-store.js';
import { tellParent } from '../../child.js';

/* Serves a store until it is killed, and tells at which port. */

const [directory] = process.argv.slice(2) as [string];
const store = await openStore(directory, { actor: 'server', snapshotEvery: 100, onNotice: () => undefined });
const http = createHttpServer(createServer(store).listener);
http.listen(0, '127.0.0.1', () => void tellParent((http.address() as AddressInfo).port));
