import { CommandLine } from '../support/commandline.ts';
import { addressOf, environment } from '../support/lab.ts';

let command: CommandLine;
beforeAll(async () => (command = await CommandLine.build()));
afterAll(() => command.remove());

/** Runs the command like a shell that has read the lab's env file. */
const typed = (...args: string[]) =>
  command.run(args, {
    KUBECONFIG: environment('KUBECONFIG'),
    OVERLAYNET_SERVER: new URL(environment('STATE_URL')).origin,
  });

test('the command lists the containers of the lab’s agents', async () => {
  const { code, stdout, stderr } = await typed('containers', '--no-headers');
  expect([code, stderr]).toEqual([0, '']);
  for (const node of ['node2', 'node3'])
    expect(stdout).toMatch(new RegExp(`${addressOf(node, 'dcos').replaceAll('.', '\\.')} +${node} `));
});

test('the command shows the kernels of the lab’s nodes', async () => {
  const { code, stdout, stderr } = await typed('why', 'node', 'node2');
  expect(stdout).not.toContain('?');
  expect([code, stderr]).toEqual([0, '']);
});
