/**
 * What a crash, a fault or a full disk leaves of a store. CRASH_ROUNDS says how long it takes: 200 when it is not set, for which CI has
 * time; from 5,000 on every fault is tried at every call of the system, which takes hours. CRASH_SEED repeats a run.
 */
export default {
  files: ['dist/test/slow/crash/*.test.js'],
  timeout: '2h',
};
