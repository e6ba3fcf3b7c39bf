import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

const clientNode = {
  group: ['@kubernetes/client-node'],
  message: 'Only src/kube talks to the API server: import what it exports.',
};
const io = {
  group: ['node:*', 'prom-client', 'p-queue', '**/kube/**', '**/linux/**', '**/operator/**', '**/agent/**'],
  message: 'api, net, allocate and dataplane are pure: effects live at the rim.',
};
const up = (...folders) => ({
  group: folders.map((folder) => `**/${folder}/**`),
  message: 'An inner layer does not know the ones around it.',
});
const only = (files, ...patterns) => ({ files, rules: { 'no-restricted-imports': ['error', { patterns }] } });

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', '.lab/', 'coverage/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true, argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
    },
  },
  only(['src/**/*.ts', 'hack/**/*.ts', 'test/**/*.ts'], clientNode),
  only(['src/net/**/*.ts'], clientNode, io, up('api', 'allocate', 'dataplane')),
  only(['src/api/**/*.ts'], clientNode, io, up('allocate', 'dataplane')),
  only(['src/allocate/**/*.ts'], clientNode, io, up('dataplane')),
  only(['src/dataplane/**/*.ts'], clientNode, io, up('allocate')),
  only(['src/linux/**/*.ts'], clientNode, up('kube', 'operator', 'agent', 'allocate')),
  only(
    ['src/kube/**/*.ts', 'test/apiserver/kube/**/*.ts'],
    up('linux', 'operator', 'agent', 'allocate', 'dataplane'),
  ),
  {
    // Jest's matchers and parsed JSON are any
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['*.js'], ...tseslint.configs.disableTypeChecked },
  prettier,
);
