import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keysOf } from '../../../hack/checks/lint.ts';

let dir: string;
const write = (name: string, text: string) => {
  writeFileSync(join(dir, name), text);
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-lint-'));
  write('package-lock.json', '{}');
  write('top.ts', `import { a } from './middle.ts';`);
  write('middle.ts', `import type { B } from './low.ts';`);
  write('low.ts', `export type B = import('./round.ts').C;`);
  write('round.ts', `export * from './middle.ts';`);
  write('other.ts', 'export const one = 1;');
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

/** Returns the sources whose keys differ once the file has that text. */
function changedBy(name: string, text: string): string[] {
  const before = keysOf(dir);
  write(name, text);
  return [...keysOf(dir)].filter(([file, key]) => before.get(file) !== key).map(([file]) => file);
}

test('a file is linted again when it changes, or one that it imports over any number of steps', () => {
  expect(changedBy('top.ts', '// changed')).toEqual(['top.ts']);
  write('top.ts', `import { a } from './middle.ts';`);
  expect(changedBy('round.ts', `export * from './middle.ts'; // changed`)).toEqual([
    'low.ts',
    'middle.ts',
    'round.ts',
    'top.ts',
  ]);
});

test.each(['package-lock.json', 'eslint.config.js', 'tsconfig.json', 'globals.d.ts'])(
  'all files are linted again when %s changes',
  (name) => {
    expect(changedBy(name, '/* changed */')).toEqual(
      expect.arrayContaining(['low.ts', 'middle.ts', 'other.ts', 'round.ts', 'top.ts']),
    );
  },
);

test('a file that appears is linted, and so are those that import it', () => {
  write('other.ts', `import './late.ts';`);
  expect(changedBy('late.ts', '')).toEqual(['late.ts', 'other.ts']);
});
