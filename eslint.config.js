import tseslint from 'typescript-eslint';

/** Only what needs types, or a rule that Biome lacks; everything else about style is Biome's. */
export default tseslint.config(
  { ignores: ['dist/**', 'coverage/**', 'docs/**', '.build/**', 'scripts/bench/peers/**', '**/*.js', '**/*.mjs'] },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx', 'projections/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: ['tsconfig.json', 'tsconfig.page.json'], tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      // A projection folds the events it knows and leaves the others alone: a default says so.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    // Tests spread lists that they wrote themselves.
    files: ['src/**/*.ts', 'src/**/*.tsx', 'projections/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          // A rest parameter that is handed on as it came is called `args`.
          selector: ':matches(CallExpression, NewExpression) > SpreadElement:not([argument.name="args"])',
          message:
            'Spread arguments are copied to the stack, which 120,000 of them overflow: use a loop, reduce, or an array literal instead. A rest parameter called args may be handed on.',
        },
        {
          selector:
            'CallExpression[callee.property.type="Identifier"][callee.property.name="apply"][arguments.length>1]:not([arguments.2.name="args"])',
          message:
            'Spread arguments are copied to the stack, which 120,000 of them overflow: use a loop or reduce instead.',
        },
      ],
    },
  },
);
