import tseslint from 'typescript-eslint';

/** Only what needs types and Biome misses; everything else about style is Biome's. */
export default tseslint.config(
  { ignores: ['dist/**', 'coverage/**', 'docs/**', '.build/**', 'scripts/bench/peers/**', '**/*.js', '**/*.mjs'] },
  {
    files: ['src/**/*.ts', 'projections/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
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
);
