export default { files: ['.build/h4/test/**/*.test.js'], timeout: '3m', concurrency: 2 };
