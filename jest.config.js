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
        },
      },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.{ts,tsx}'],
  // real servers on a busy machine
  testTimeout: 30_000,
};
