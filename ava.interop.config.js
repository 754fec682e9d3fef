/** What other tools read and write. A test says that it is skipped, and why, when its tool is missing. */
export default {
  files: ['dist/test/interop/**/*.test.js'],
  timeout: '20m',
};
