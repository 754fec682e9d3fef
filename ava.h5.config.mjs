export default { files: ['.build/h5/test/**/*.test.js'], timeout: '3m', concurrency: 2 };
