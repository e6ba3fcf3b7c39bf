/** Suites are chosen by path (`hack/run test unit`, `… netns`); one process a file, native ESM, types checked apart by tsc. */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' } }] },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // real servers on a busy machine
  testTimeout: 30_000,
};
