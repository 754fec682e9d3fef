export default { files: ['.build/h2/test/**/*.test.js'], timeout: '3m', concurrency: 2 };
