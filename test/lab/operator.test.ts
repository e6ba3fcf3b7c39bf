import { readFileSync } from 'node:fs';
import { reference } from '../../hack/testbed/reference.ts';
import { until } from '../../hack/testbed/processes.ts';
import { environment, hackLab, kernelOf, kubectl, lab, settledKernel } from '../support/lab.ts';

const expected: unknown = JSON.parse(readFileSync(reference, 'utf8'));

const leader = async () =>
  (
    await kubectl([
      'get',
      'lease',
      '-n',
      'overlaynet-system',
      'overlaynet-operator',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ])
  ).trim();
const state = async () => (await (await fetch(environment('STATE_URL'))).json()) as { agents: unknown[] };
const number = (identity: string) => identity.replace('operator-', '');

test('peers add the entries of a node that joins, and remove them when the node is removed', async () => {
  const before = await settledKernel('node2');
  await hackLab('node', 'add', 'node4');
  const joined = await until('node2 knows node4', async () => {
    const kernel = await kernelOf('node2');
    return kernel.includes('172.17.0.5') ? kernel : undefined;
  });
  // the block depends on earlier tests
  const block = (
    await kubectl(['get', 'agentallocation', 'node4', '-o', 'jsonpath={.spec.networks[0].subnets[0].cidr}'])
  ).trim();
  expect(block).toMatch(/^9\.0\.\d+\.0\/24$/);
  expect(joined).toContain(block);
  await hackLab(
    'run',
    'node4',
    'dcos',
    '--name',
    'new',
    '--',
    'ping',
    '-n',
    '-c',
    '2',
    '-i',
    '0.2',
    '-W',
    '1',
    '9.0.2.1',
  );
  await hackLab('node', 'remove', 'node4');
  await until('node2 has forgotten node4', async () =>
    (await kernelOf('node2')) === before ? true : undefined,
  );
  expect(await kubectl(['get', 'agentallocations,overlayagents', '-o', 'name'])).not.toContain('node4');
});

test('when the leading operator is killed, the other takes over and keeps all blocks', async () => {
  const first = await leader();
  const other = first === 'operator-1' ? 'operator-2' : 'operator-1';
  await hackLab('operator', 'kill', number(first));
  try {
    expect(await state()).toEqual(expected);
    await until('the other leads', async () => ((await leader()) === other ? true : undefined), {
      lab,
      roles: [other],
    });
    await hackLab('node', 'add', 'node5');
    await hackLab('node', 'remove', 'node5');
    await until('node5 is forgotten', async () => ((await state()).agents.length === 3 ? true : undefined));
    expect(await state()).toEqual(expected);
  } finally {
    await hackLab('operator', 'start', number(first));
  }
});
