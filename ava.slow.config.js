/** What takes minutes: large logs and archives. Runs in CI after the quick suite; crashes have their own suite. */
export default {
  files: ['dist/test/slow/**/*.test.js', '!dist/test/slow/crash/**'],
  timeout: '40m',
};
