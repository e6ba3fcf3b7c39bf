import { messageOf } from '../src/error.ts';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { nothing, reasonOf, type Totals } from './checks/jest.ts';
import { command } from './parts/command.ts';
import { goEnvironment } from './parts/plugins.ts';
import { say } from './parts/progress.ts';

const sources = join(import.meta.dirname, '..', 'src', 'cni');

interface Event {
  Action: string;
  Test?: string;
  Output?: string;
}

/**
 * Runs gofmt, vet and the tests of the plugin. Prints the output of failed tests. A package that could not be tested
 * counts as one failed test.
 */
export async function goTests(go: string): Promise<Totals> {
  const options = { cwd: sources, env: goEnvironment() };
  const unformatted = await command(join(dirname(go), 'gofmt'), ['-l', '.'], options);
  if (unformatted !== '') {
    say(`gofmt -w these files of src/cni: ${unformatted.trim().split('\n').join(', ')}`);
    return { ...nothing(), failures: [{ name: 'gofmt', reason: [] }] };
  }
  try {
    await command(go, ['vet', './...'], options);
  } catch (error) {
    say(messageOf(error));
    return { ...nothing(), failures: [{ name: 'go vet', reason: reasonOf(messageOf(error)) }] };
  }
  const child = spawn(go, ['test', '-json', '-count=1', './...'], {
    ...options,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      resolve(code ?? 1);
    });
  });
  const totals = nothing();
  const output = new Map<string, string[]>();
  for await (const line of createInterface({ input: child.stdout })) {
    const { Action, Test = '', Output = '' } = JSON.parse(line) as Event;
    if (Action === 'output') output.set(Test, [...(output.get(Test) ?? []), Output]);
    // output without a test belongs to the package: it did not compile, or it ended early
    const said = (output.get(Test) ?? []).join('');
    if (Action === 'fail' || (Action === 'output' && /^(# |panic|FAIL)/.test(Output))) {
      process.stderr.write(said);
      output.delete(Test);
    }
    if (Test === '') continue;
    if (Action === 'pass') totals.passed++;
    if (Action === 'fail') totals.failures.push({ name: `src/cni: ${Test}`, reason: reasonOf(said) });
    if (Action === 'pass' || Action === 'fail') output.delete(Test);
  }
  if ((await ended) !== 0 && totals.failures.length === 0)
    totals.failures.push({ name: 'src/cni: go test', reason: [] });
  say(`${totals.passed} passed, ${totals.failures.length} failed in src/cni`);
  return totals;
}
