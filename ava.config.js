/** The suite that a newcomer runs; what is slow or needs other tools has a config of its own. */
export default {
  files: ['dist/test/**/*.test.js', '!dist/test/slow/**', '!dist/test/interop/**'],
  timeout: '2m',
};
