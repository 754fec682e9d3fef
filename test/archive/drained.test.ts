import { Writable } from 'node:stream';
import test from 'ava';
import { drained } from '../../src/compression/decompress.js';

function slowSink(): { readonly sink: Writable; readonly take: () => void } {
  let take = (): void => undefined;
  const sink = new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => {
      take = done;
    },
  });
  return { sink, take: () => take() };
}

test('it resolves when the sink takes more, and listens no longer', async (t) => {
  const { sink, take } = slowSink();
  t.false(sink.write('xx'));
  const waiting = drained(sink);
  take();
  await t.notThrowsAsync(waiting);
  t.is(sink.listenerCount('drain') + sink.listenerCount('close'), 0);
});

test('it resolves when the sink is destroyed, before and after', async (t) => {
  const { sink } = slowSink();
  t.false(sink.write('xx'));
  const waiting = drained(sink);
  sink.destroy();
  await t.notThrowsAsync(waiting);
  await t.notThrowsAsync(drained(sink), 'its close event is over');
});
