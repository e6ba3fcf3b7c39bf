import { CommandLine } from '../support/commandline.ts';
import { addressOf, environment, inContainer, kernelOf, onNode, settledKernel } from '../support/lab.ts';

let command: CommandLine;
beforeAll(async () => {
  command = await CommandLine.build();
  // node3 has the neighbours in its kernel; ping sends each second until one is answered
  for (const name of ['dcos', 'dcos6'])
    await inContainer('node2', name, 'ping', '-c', '1', '-w', '30', addressOf('node3', name));
});
afterAll(() => command.remove());

/** `kubectl overlay trace` between two of the lab's containers. */
async function trace(from: string, to: string, ...more: string[]) {
  const server = new URL(environment('STATE_URL')).origin;
  return command.run(['trace', '--from', from, '--to', to, ...more], { OVERLAYNET_SERVER: server });
}

test.each(['dcos', 'dcos6'])(
  'a packet over %s is followed on both nodes by their own kernels',
  async (name) => {
    const [from, to] = [addressOf('node2', name), addressOf('node3', name)];
    const { code, stdout, stderr } = await trace(from, to);
    expect({ stdout, stderr }).toMatchObject({ stderr: '' });
    for (const part of [
      `icmp from ${from} to ${to}, on node node2`,
      `route        ${to} via`,
      'FDB          70:b3:d5:80:00:',
      'then on node node3',
      'member       172.17.0.4 is in overlaynet-members-4',
    ])
      expect(stdout.replace(/ +/g, ' ')).toContain(part.replace(/ +/g, ' '));
    expect(code).toBe(0);
  },
);

test.each(['dcos', 'dcos6'])(
  'a packet that is sent over %s is seen on both nodes, and answered',
  async (name) => {
    const [from, to] = [addressOf('node2', name), addressOf('node3', name)];
    const before = await settledKernel('node2');
    for (const [target, answer] of [
      [to, 'echo reply, after '],
      [name === 'dcos' ? `${to}:81` : `[${to}]:81`, 'TCP RST: nothing listens there, after '],
    ] as const) {
      const { stdout, stderr, code } = await trace(from, target, '--send');
      expect(stderr).toBe('');
      expect(stdout).toContain(`in by m-${name}, out by vtep1024`);
      expect(stdout).toContain(`in by vtep1024, out by m-${name}, out by c-`);
      expect(stdout).toContain(answer);
      expect(code).toBe(0);
    }
    expect(await kernelOf('node2')).toBe(before);
  },
);

test('trace finds no rule of ours for a packet that another program’s firewall drops, and a sent packet does not arrive', async () => {
  const [from, to] = [addressOf('node2', 'dcos'), addressOf('node3', 'dcos')];
  const rule = ['FORWARD', '-d', to, '-p', 'tcp', '--dport', '4242', '-j', 'DROP'];
  await onNode('node3', 'iptables', '-I', ...rule);
  try {
    expect((await trace(from, `${to}:4242`)).code).toBe(0);
    const { stdout, code } = await trace(from, `${to}:4242`, '--send');
    expect(stdout).toContain('none to 3 packets; last seen on node node3, in by vtep1024');
    expect(code).toBe(1);
  } finally {
    await onNode('node3', 'iptables', '-D', ...rule);
  }
});

test('trace reaches a container on the same node without the gateway', async () => {
  const { stdout, code } = await trace(addressOf('node2', 'dcos'), '9.0.1.1', '--send');
  expect(stdout).toContain('echo reply');
  expect(code).toBe(0);
});
