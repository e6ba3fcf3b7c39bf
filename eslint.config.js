import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

const clientNode = {
  group: ['@kubernetes/client-node'],
  message: 'Only src/kube talks to the API server: import what it exports.',
};
const io = {
  group: ['node:*', 'prom-client', 'p-queue', '../log.ts'],
  message: 'This folder is pure: effects live at the rim.',
};
/** Folders of src that do no I/O. */
const pure = ['net', 'api', 'allocate', 'dataplane', 'belief', 'rows', 'verdict', 'import'];
/** Each folder of src, and which others it may import. A folder is named before those that import it, so there is no circle. */
const layers = {
  net: [],
  api: ['net'],
  allocate: ['net', 'api'],
  dataplane: ['net', 'api'],
  belief: ['net', 'api', 'dataplane'],
  rows: ['net', 'api', 'allocate'],
  verdict: ['net', 'api', 'dataplane', 'rows'],
  linux: ['net', 'api', 'dataplane'],
  probe: ['net', 'api', 'dataplane', 'rows', 'verdict', 'linux'],
  docker: ['net', 'api', 'dataplane', 'linux'],
  kube: ['api'],
  serve: ['net', 'kube'],
  host: ['net', 'api', 'dataplane', 'linux'],
  containers: ['net', 'api', 'dataplane', 'belief', 'rows', 'linux', 'docker', 'kube', 'serve', 'host'],
  use: ['net', 'api', 'dataplane', 'linux', 'docker', 'kube', 'host', 'containers'],
  report: ['api', 'dataplane', 'kube', 'host'],
  inspect: ['net', 'api', 'dataplane', 'rows', 'linux', 'serve', 'host', 'containers', 'use'],
  operator: ['net', 'api', 'allocate', 'rows', 'kube', 'serve'],
  import: ['net', 'api'],
  cli: ['net', 'api', 'allocate', 'rows', 'kube', 'import'],
  page: ['net', 'api', 'rows'],
  agent: [
    'net',
    'api',
    'dataplane',
    'belief',
    'rows',
    'linux',
    'docker',
    'kube',
    'serve',
    'host',
    'containers',
    'use',
    'report',
    'inspect',
    'verdict',
    'probe',
  ],
};
/** Each folder of hack, likewise. The entries, `hack/*.ts`, may import all of them. */
const hackLayers = {
  parts: [],
  testbed: ['parts'],
  checks: ['parts', 'testbed'],
  page: [],
  offline: ['parts', 'testbed', 'page'],
  kind: ['parts', 'testbed', 'offline'],
  conformance: ['parts', 'testbed', 'offline', 'kind'],
  reference: ['parts', 'testbed'],
};
/** Each folder of test, likewise. A suite imports no other suite: what two of them share is in `support`. */
const testLayers = {
  support: [],
  chaos: ['support'],
  bench: ['support', 'chaos'],
  unit: ['support', 'chaos'],
  apiserver: ['support', 'chaos'],
  netns: ['support', 'chaos'],
  lab: ['support', 'chaos'],
  live: ['support', 'chaos'],
  e2e: ['support'],
};
/** src imports src alone, hack imports src, test imports both. */
const upwards = (...trees) => ({
  regex: `^(\\.\\./)+(${trees.join('|')})/`,
  message:
    'src imports neither hack nor test; hack does not import test, but for its entries chaos.ts and bench.ts.',
});
/** For the files of a folder and of its folders, as deep as they go: which other folders of the tree they may import. */
const within = (tree, table, ...patterns) =>
  Object.entries(table).flatMap(([folder, allowed]) =>
    [1, 2, 3].map((depth) =>
      only(
        [`${tree}/${folder}/${'*/'.repeat(depth - 1)}*.{ts,tsx}`],
        {
          regex: `^(\\.\\./){${depth}}(?!(${[folder, ...allowed].join('|')})/)[a-z]+/`,
          message: `${tree}/${folder} imports ${allowed.join(', ') || 'no other folder'} of ${tree}: see \`${tree}Layers\` in eslint.config.js.`,
        },
        clientNode,
        ...patterns,
      ),
    ),
  );
const elsewhere = (folder, allowed) => ({
  regex: `^\\.\\./(?!(${allowed.join('|')})/)[a-z]+/`,
  message: `src/${folder} imports ${allowed.join(', ') || 'no other folder'}: see \`layers\` in eslint.config.js.`,
});
const only = (files, ...patterns) => ({ files, rules: { 'no-restricted-imports': ['error', { patterns }] } });

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', '.lab/', 'coverage/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', 'hack/standins/*'] },
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
  only(['src/**/*.{ts,tsx}', 'hack/**/*.ts', 'test/**/*.{ts,tsx}'], clientNode),
  only(['src/**/*.{ts,tsx}'], clientNode, upwards('hack', 'test')),
  only(['hack/*.ts'], clientNode, upwards('test')),
  only(['hack/chaos.ts', 'hack/bench.ts'], clientNode),
  ...within('hack', hackLayers, upwards('test')),
  ...within('test', testLayers),
  ...Object.entries(layers).map(([folder, allowed]) =>
    only(
      [`src/${folder}/**/*.{ts,tsx}`],
      elsewhere(folder, allowed),
      upwards('hack', 'test'),
      ...(folder === 'kube' ? [] : [clientNode]),
      ...(pure.includes(folder) ? [io] : []),
    ),
  ),
  only(['test/apiserver/kube/**/*.ts'], clientNode, {
    group: Object.keys(layers)
      .filter((folder) => folder !== 'kube' && !layers.kube.includes(folder))
      .map((folder) => `**/src/${folder}/**`),
    message: 'The contract of src/kube knows nothing around it.',
  }),
  {
    files: ['src/**/*.{ts,tsx}'],
    rules: {
      'max-lines': ['error', { max: 300, skipBlankLines: false, skipComments: false }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: false, skipComments: false }],
    },
  },
  {
    files: ['src/**/*.{ts,tsx}', 'hack/**/*.ts', 'test/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            "ConditionalExpression[consequent.property.name='message'][alternate.callee.name='String']",
          message: 'The text of an error: `messageOf` of src/error.ts.',
        },
      ],
    },
  },
  {
    // Jest's matchers and parsed JSON are any
    files: ['test/**/*.{ts,tsx}'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: ['hack/**/*.ts', 'test/**/*.{ts,tsx}'],
    rules: {
      'max-lines': ['error', { max: 300 }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    },
  },
  // a describe block is a function that holds many tests, and so is a contract that two suites run
  {
    files: ['test/**/*.test.{ts,tsx}', 'test/support/*-contract.ts'],
    rules: { 'max-lines-per-function': 'off' },
  },
  { files: ['*.js', 'hack/standins/*'], ...tseslint.configs.disableTypeChecked },
  prettier,
);
