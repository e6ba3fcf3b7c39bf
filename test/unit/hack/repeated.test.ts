import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  filesToRepeat,
  jest,
  nothing,
  repeated,
  summaryOf,
  type Failure,
} from '../../../hack/checks/jest.ts';

const failure = (file: string | undefined, name: string): Failure => ({
  ...(file === undefined ? {} : { file }),
  name,
  reason: [`${name} failed`],
});
const totals = (passed: number, ...failures: Failure[]) => ({ ...nothing(), passed, failures });

describe('which files run a second time', () => {
  test('each file of a failed test, once', () => {
    const failures = [failure('a.test.ts', '1'), failure('a.test.ts', '2'), failure('b.test.ts', '3')];
    expect(filesToRepeat(totals(5, ...failures))).toEqual(['a.test.ts', 'b.test.ts']);
  });
  test('none if all passed, if many failed, or if a failure has no file', () => {
    expect(filesToRepeat(totals(5))).toEqual([]);
    expect(filesToRepeat(totals(5, ...['a', 'b', 'c', 'd', 'e'].map((name) => failure(name, '1'))))).toEqual(
      [],
    );
    expect(filesToRepeat(totals(5, failure('a.test.ts', '1'), failure(undefined, 'jest')))).toEqual([]);
  });
});

describe('what a second run changes', () => {
  const first = totals(5, failure('a.test.ts', '1'), failure('b.test.ts', '1'));
  test('a test that passes there no longer fails the run, and is printed with its error', () => {
    const both = repeated(first, totals(4));
    expect(both).toEqual({ passed: 7, failures: [], recovered: first.failures });
    expect(summaryOf(both)).toBe(`failed once and passed in a second run; a fault of the test or of us:
  a.test.ts: 1
      1 failed
  b.test.ts: 1
      1 failed
7 passed, 0 failed`);
  });
  test('a test that fails again fails the run', () => {
    const both = repeated(first, totals(3, failure('b.test.ts', '1')));
    expect([both.passed, both.failures, both.recovered]).toEqual([
      6,
      [first.failures[1]],
      [first.failures[0]],
    ]);
  });
  test('so does a test that failed only there', () => {
    const both = repeated(first, totals(3, failure('a.test.ts', '2')));
    expect(both.failures).toEqual([failure('a.test.ts', '2')]);
  });
  test('so does a second run of which nothing is known', () => {
    const both = repeated(first, totals(0, failure(undefined, 'jest wrote no results')));
    expect([both.passed, both.failures.length, both.recovered]).toEqual([5, 3, []]);
  });
});

test('a failed test is summed up with the first lines of its error, without its stack', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-jest-'));
  try {
    mkdirSync(join(dir, 'test'));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(dir, 'test', 'one.test.js'),
      `test('works', () => {});\ntest('breaks', () => { throw new Error('first line\\nsecond line'); });\n`,
    );
    writeFileSync(join(dir, 'mute.js'), 'export default class {}\n');
    const args = ['--rootDir', dir, '--config', '{}', `--reporters=${join(dir, 'mute.js')}`];
    const { passed, failures } = await jest(args, join(dir, 'results.json'), { quiet: true });
    expect(passed).toBe(1);
    expect(failures).toMatchObject([{ name: 'breaks', reason: ['Error: first line', 'second line'] }]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
