import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ovt-run-'));
  for (const name of ['hack', 'node_modules']) mkdirSync(join(root, name));
  copyFileSync('hack/run', join(root, 'hack', 'run'));
  for (const file of ['package-lock.json', 'node_modules/.overlaynet-lock'])
    writeFileSync(join(root, file), '{}');
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

test("a shell that a command starts runs none of the user's start-up files", () => {
  // the input is a socket, so a bash without SHLVL takes itself for one that rshd has started
  writeFileSync(
    join(root, 'hack', 'x.ts'),
    `import { spawn } from 'node:child_process';
     spawn('bash', ['-c', 'echo done'], { stdio: ['pipe', 'inherit', 'inherit'] });`,
  );
  for (const file of ['.bashrc', 'bash-env']) writeFileSync(join(root, file), `touch "$HOME/ran${file}"`);
  const { stdout, stderr } = spawnSync('sh', [join(root, 'hack', 'run'), 'x'], {
    encoding: 'utf8',
    env: {
      PATH: [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter),
      HOME: root,
      BASH_ENV: join(root, 'bash-env'),
      SHLVL: '0',
    },
  });
  expect([stdout, stderr]).toEqual(['done\n', '']);
  for (const file of ['.bashrc', 'bash-env'])
    expect([file, existsSync(join(root, `ran${file}`))]).toEqual([file, false]);
});
