export default { files: ['.build/h1/test/**/*.test.js'], timeout: '3m', concurrency: 2 };
