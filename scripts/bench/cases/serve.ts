import type { Benchmark } from '../benchmark.js';
import { feedLines } from '../servers/feed-lines.js';
import { memoryLines } from '../servers/memory-lines.js';
import { registryPeers } from '../servers/registry-kinds.js';
import { requestLines } from '../servers/request-lines.js';
import { transferLines } from '../servers/transfer-lines.js';

/** The server beside another registry, each in its own process, with one client. */
export const serveBenchmark: Benchmark = {
  name: 'serve',
  about: 'pushes, pulls and reads of a registry, against docker-registry; followers of its feed; its memory',
  async run(context) {
    if (process.platform !== 'linux') {
      context.leaveOut('the server', 'its processor time is read from /proc, which only Linux has');
      return [];
    }
    const peers = await registryPeers(context);
    return [
      ...(await requestLines(context, peers)),
      ...(await transferLines(context, peers)),
      ...(await feedLines(context)),
      ...(await memoryLines(context, peers)),
    ];
  },
};
