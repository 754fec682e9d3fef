export default { files: ['.build/h3/test/**/*.test.js'], timeout: '3m', concurrency: 2 };
