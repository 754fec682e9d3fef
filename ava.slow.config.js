/** What takes minutes: crashes, faults, large logs. Runs in CI after the quick suite. */
export default {
  files: ['dist/test/slow/**/*.test.js'],
  timeout: '10m',
};
