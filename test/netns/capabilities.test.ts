import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Attachment } from '../../src/dataplane/attachment.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import type { Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { connect, Netns } from '../support/netns.ts';

interface DaemonSet {
  spec: { template: { spec: { containers: [{ securityContext: { capabilities: { add: string[] } } }] } } };
}
const manifest = fileURLToPath(new URL('../../deploy/system/agent.yaml', import.meta.url));
const [container] = (parse(readFileSync(manifest, 'utf8')) as DaemonSet).spec.template.spec.containers;
/** The capabilities that deploy/ gives the agent: `NET_ADMIN`, … */
const given = container.securityContext.capabilities.add;

let node: Netns;
let wire: Netns;
beforeEach(async () => {
  node = await Netns.create();
  wire = await connect([
    { netns: node, addresses: [`${nodeAddresses(0)[0]!}/16`, `${nodeAddresses(0)[1]!}/64`] },
  ]);
});
afterEach(async () => {
  await wire.delete();
  await node.delete();
});

/** Runs every program as root with only those capabilities, and without a way to get another. */
const limited =
  (capabilities: string[]): Run =>
  (program, args, options) => {
    const set = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join();
    const limits = ['--no-new-privs', '--bounding-set', set, '--inh-caps', set];
    return node.run('setpriv', [...limits, program, ...args], options);
  };

/**
 * Two isolated networks of both families: tunnel, sets, rules in every table, policy routes, guard, ended connections.
 */
function everything() {
  const isolation = { mode: 'Isolated', allow: [], hosts: 'Deny' } as const;
  return cluster(3, 0, {
    networks: [
      {
        name: 'dcos',
        subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }],
        isolation: { ...isolation, allow: ['dcos6'] },
      },
      {
        name: 'dcos6',
        subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }],
        isolation: { ...isolation, allow: [] },
      },
    ],
  });
}
const attachments: Attachment[] = [
  {
    version: 1,
    conflist: 'overlaynet',
    containerID: 'abc',
    ifname: 'eth0',
    netns: '/var/run/netns/x',
    interfaces: [
      {
        network: 'dcos',
        name: 'eth0',
        host: 'c-0123456789ab',
        mac: '0a:58:09:00:00:02',
        bridge: 'm-dcos',
        addresses: ['9.0.0.2', 'fd01:b::2', 'fe80::1'],
      },
    ],
  },
];

async function pass(capabilities: string[]) {
  const path = new DataPath({
    log: silent,
    run: limited(capabilities),
    attachments: () => ({ attachments, problems: [] }),
  });
  const made = await path.reconcile(everything());
  const again = await path.reconcile(everything());
  const cleaned = await path.cleanup();
  return { made, again, cleaned, failures: [made, again, cleaned].flatMap(({ failures }) => failures) };
}

test('a limited program has those capabilities and no other', async () => {
  const { stdout } = await limited(['NET_ADMIN', 'NET_RAW'])('grep', ['CapEff', '/proc/self/status']);
  expect(stdout.trim()).toBe('CapEff:\t0000000000003000');
});

test.each(['nft', 'legacy'])(
  'the whole data path is made, found complete and removed with what deploy/ gives: %s',
  async (backend) => {
    // kubelet's mark of the node's backend
    if (backend === 'legacy') await node.sh('iptables-legacy -t mangle -N KUBE-IPTABLES-HINT');
    const { made, again, cleaned, failures } = await pass(given);
    expect(failures).toEqual([]);
    expect(made.changes).toBeGreaterThan(50);
    expect(again.changes).toBe(0);
    expect(cleaned.changes).toBeGreaterThan(10);
    const bridges = await node.try('nft list table bridge overlaynet');
    expect(bridges.code).not.toBe(0);
  },
);

test('the capabilities of deploy/ suffice to find the node’s iptables backend', async () => {
  await node.sh('iptables-legacy -t mangle -N KUBE-IPTABLES-HINT');
  await new DataPath({ log: silent, run: limited(given) }).reconcile(everything());
  expect(await node.sh('iptables-legacy-save')).toContain('-A OVERLAYNET-POSTROUTING');
  expect(await node.sh('iptables-nft-save')).not.toContain('OVERLAYNET-');
});

test.each(given)('%s is needed', async (capability) => {
  const { failures } = await pass(given.filter((name) => name !== capability));
  expect(failures).not.toEqual([]);
  if (capability === 'NET_RAW') {
    // iptables asks for a set's number over a raw socket, with either backend
    expect(failures.map(({ message }) => message)).toEqual(
      expect.arrayContaining([expect.stringContaining("Can't open socket to ipset")]),
    );
  }
});

test('the capabilities of deploy/ suffice to end connections', async () => {
  const add = '-I -p udp -s 9.0.0.2 -d 9.0.1.2 --sport 1000 --dport 2000 -t 60 -u SEEN_REPLY';
  await node.sh(`conntrack ${add}`);
  const { code, stderr } = await limited(given)('conntrack', ['-D', '-s', '9.0.0.2']);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringContaining('1 flow entries have been deleted'),
  });
});
