/** Suites are chosen by path (`hack/run test unit`, `… netns`); one process a file, native ESM, types checked apart by tsc. */
export default {
  testEnvironment: 'node',
  // also where a browser's document is: the libraries' modules for browsers are not named as modules
  testEnvironmentOptions: { customExportConditions: ['node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  transform: {
    '^.+\\.tsx?$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', tsx: true },
          transform: { react: { runtime: 'automatic', importSource: 'preact' } },
          target: 'es2024',
          // Jest warns of an import of JSON without its attribute
          experimental: { keepImportAttributes: true },
        },
      },
    ],
  },
  // as in the bundles (`lean` in hack/build.ts): half a second of each file's loading was modules that nothing uses
  moduleNameMapper: {
    '^@kubernetes/client-node$': '<rootDir>/node_modules/@kubernetes/client-node/dist/config.js',
    '^\\./gen/index\\.js$': '<rootDir>/hack/standins/generated.js',
    '^(undici|socks|socks-proxy-agent|hpagent|@opentelemetry/api)$': '<rootDir>/hack/standins/unused.cjs',
  },
  testMatch: ['<rootDir>/test/**/*.test.{ts,tsx}'],
  // real servers on a busy machine: what must be fast has a bound of its own
  testTimeout: 120_000,
};
