import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { HttpFailure } from '../../../src/server/failure.js';
import { asRegistryFailure } from '../../../src/server/registry/routes.js';
import { StoreError } from '../../../src/errors.js';
import { MAX_PAST_BUILDS, MAX_WAITING_PAST_BUILDS } from '../../../src/limits.js';
import { BuildSlots } from '../../../src/store/registry/build-slots.js';

test('MAX_PAST_BUILDS run, MAX_WAITING_PAST_BUILDS wait, and more are SERVER_BUSY: 503 with Retry-After', async (t) => {
  const slots = new BuildSlots();
  const ends: (() => void)[] = [];
  const order: number[] = [];
  const build = (each: number) => async (): Promise<number> => {
    order.push(each);
    await new Promise<void>((resolve) => ends.push(resolve));
    return each;
  };
  const count = MAX_PAST_BUILDS + MAX_WAITING_PAST_BUILDS;
  const built = Array.from({ length: count }, (_, each) => slots.run(build(each)));
  await turn();
  t.is(order.length, MAX_PAST_BUILDS);
  const busy = t.throws(() => slots.run(build(count)), { instanceOf: StoreError, code: 'SERVER_BUSY' });
  const failure = asRegistryFailure(busy);
  t.true(failure instanceof HttpFailure);
  t.like(failure, { status: 503, code: 'TOOMANYREQUESTS', headers: { 'retry-after': '5' } });
  for (let each = 1; each <= count; each++) {
    ends.shift()?.();
    await turn();
    t.is(order.length, Math.min(each + MAX_PAST_BUILDS, count));
  }
  t.deepEqual(await Promise.all(built), order);
});

test('a build that fails gives its turn to the next', async (t) => {
  const slots = new BuildSlots();
  const fail = (): Promise<never> => Promise.reject(new Error('no'));
  const failing = Array.from({ length: MAX_PAST_BUILDS + 1 }, () => slots.run(fail));
  const next = slots.run(async () => 'built');
  for (const each of failing) await t.throwsAsync(each, { message: 'no' });
  t.is(await next, 'built');
});
