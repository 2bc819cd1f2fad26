import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['dist', 'coverage', 'test/fixtures', 'examples']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
  {
    // The programs run on Node 22, too, where types and bundler would let these pass.
    files: ['src/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['AsyncDisposableStack', 'DisposableStack', 'SuppressedError'].map((name) => ({
          name,
          message: 'Node 22 has none: use src/contract/disposables.ts.',
        })),
      ],
    },
  },
  {
    // A program's face: what it prints on its standard output is its purpose.
    files: ['src/cli/**', 'lab/demo/**', 'bench/**', 'faults/main.ts', 'scripts/**'],
    rules: { 'no-console': 'off' },
  },
);
