import { execFileSync } from 'node:child_process';
import { completion } from '../../../src/cli/completion.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { reasonsOf } from '../../../src/cli/status.ts';
import { pageOf } from '../../../src/rows/answer.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import type { AgentRow, FindingRow, NetworkRow } from '../../../src/rows/row.ts';
import { world } from '../rows/world.ts';

/** What the program says and does with these words. */
async function given(...words: string[]) {
  const did: unknown[] = [];
  let said = '';
  const program = createProgram('1.2.3', (name, args, options) => {
    did.push([name, args, options]);
    return Promise.resolve(0);
  });
  for (const command of [program, ...program.commands])
    command
      .exitOverride()
      .configureOutput({ writeErr: (text) => (said += text), writeOut: (text) => (said += text) });
  await program.parseAsync(['node', 'kubectl-overlay', ...words]).catch(() => undefined);
  return { did, said };
}

test('commands get their arguments and flags, and those of all commands wherever they stand', async () => {
  expect((await given('--context', 'a', 'blocks', 'dcos', '-o', 'wide', '--no-headers')).did).toEqual([
    [
      'blocks',
      ['dcos'],
      expect.objectContaining({
        context: 'a',
        output: 'wide',
        headers: false,
        systemNamespace: 'overlaynet-system',
      }),
    ],
  ]);
});

test('an unknown command suggests one; a wrong form names those that there are', async () => {
  expect((await given('netwroks')).said).toContain('(Did you mean networks?)');
  expect((await given('networks', '-o', 'xml')).said).toContain('Allowed choices are wide, json, yaml, name');
  expect((await given('networks', '--wach')).said).toContain('(Did you mean --watch?)');
  expect((await given('ip')).said).toContain("missing required argument 'address'");
});

test('the help of every command has examples that the program takes', async () => {
  const { commands } = createProgram('1.2.3', () => Promise.resolve(0));
  for (const command of commands) {
    const { said } = await given(command.name(), '--help');
    const examples = [...said.matchAll(/^ {2}kubectl overlay (.*)$/gm)].map(([, line = '']) => line);
    expect({ command: command.name(), examples }).toEqual({
      command: command.name(),
      examples: expect.arrayContaining([expect.any(String)]),
    });
    for (const line of examples) {
      const { did, said: complaint } = await given(...line.replace(/ [|<>].*/, '').split(' '));
      expect({ line, complaint, did: did.length }).toEqual({ line, complaint: '', did: 1 });
    }
  }
});

test.each(['bash', 'zsh', 'fish', 'kubectl'] as const)(
  'the completion of %s has every command and its flags',
  (shell) => {
    const program = createProgram('1.2.3', () => Promise.resolve(0));
    const script = completion(program, shell);
    for (const word of ['status', 'containers', '--sort-by', '--wait', '--context', 'zsh'])
      expect(script).toContain(word);
  },
);

test('bash completes commands, and a command’s own flags', () => {
  const script = completion(
    createProgram('1.2.3', () => Promise.resolve(0)),
    'bash',
  );
  const complete = (...words: string[]) =>
    execFileSync('bash', [
      '-c',
      `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kubectl_overlay; echo "\${COMPREPLY[@]}"`,
      'bash',
      'kubectl-overlay',
      ...words,
    ])
      .toString()
      .trim();
  expect(complete('n')).toBe('networks');
  expect(complete('status', '--w')).toBe('--wait');
  expect(complete('completion', 'f')).toBe('fish');
});

test('kubectl completes commands, and a command’s own flags', () => {
  const script = completion(
    createProgram('1.2.3', () => Promise.resolve(0)),
    'kubectl',
  );
  // as kubectl calls it: the last word is the one that is being typed
  const complete = (...words: string[]) =>
    execFileSync('sh', ['-c', script, 'kubectl_complete-overlay', ...words]).toString();
  expect(complete('n')).toBe('networks\n:4\n');
  expect(complete('--context', 'status', '--w')).toBe('--wait\n:4\n');
  expect(complete('completion', 'ku')).toBe('kubectl\n:4\n');
  expect(complete('nonsense', '')).toBe(':4\n');
});

test('a cluster is healthy where networks and agents are ready and nothing is an Error', () => {
  const all = <T>(kind: 'networks' | 'agents' | 'findings') =>
    pageOf(kind, world(), parseQuery(kind, '')).items as T[];
  const networks = all<NetworkRow>('networks');
  const agents = all<AgentRow>('agents');
  const findings = all<FindingRow>('findings');
  expect(reasonsOf(networks, agents, findings, [{ name: 'a', ready: true }], '')).toEqual([
    'no operator leads',
    '4 of 5 agents are not ready',
    'network dcos is Waiting: node2: no vxlan',
    'network dcos6 is Refused: overlaps dcos',
    '5 findings of weight Error',
  ]);
  const ready = agents.map((agent): AgentRow => ({ ...agent, state: 'Ready' }));
  const fine = networks.map((network): NetworkRow => ({ ...network, state: 'Ready' }));
  const light = findings.filter(({ weight }) => weight !== 'Error');
  expect(reasonsOf(fine, ready, light, undefined, undefined)).toEqual([]);
  expect(reasonsOf(fine, [], light, [{ name: 'a', ready: false }], 'a')).toEqual([
    'no operator is ready',
    'no agent has registered',
  ]);
});
