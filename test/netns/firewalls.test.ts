import { expect } from '@jest/globals';
import { Host } from '../../src/host/host.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { Netns } from '../support/netns.ts';
import { node2, snapshot } from '../support/fixture.ts';
import { firewalld, kubeProxy } from '../support/rulesets.ts';

/** node2, whose peer is node1; dcos has the bridges m-dcos and d-dcos there. */
const known = snapshot();

let node: Netns;
beforeEach(async () => {
  node = await Netns.create();
});
afterEach(() => node.delete());

const told = async (rules: string): Promise<string[]> => {
  await node.sh('nft -f -', rules);
  // sysctls would be this machine's own
  const host = new Host({ log: silent, run: node.run, links: node.links, sysctls: '/nonexistent' });
  await host.look(known);
  return host.problems
    .filter(({ reason }) => ['FirewallRefuses', 'FirewallUnread', 'Masquerades'].includes(reason))
    .map(({ message }) => message);
};

describe('a rule that refuses our packets is reported with the remedy', () => {
  test('firewalld: both its chains, with its own commands as the remedy', async () => {
    const [input = '', forward = '', ...more] = (await told(firewalld())).sort().reverse();
    expect(more).toEqual([]);
    expect(input).toContain(
      "the chain filter_INPUT of nftables' table inet firewalld refuses the tunnel (UDP port 64000): firewall-cmd",
    );
    for (const words of [
      "the chain filter_FORWARD of nftables' table inet firewalld refuses",
      'dcos (IPv4, m-dcos to vtep1024)',
      'dcos (IPv4, d-dcos from vtep1024)',
      'dcos6 (IPv6, m-dcos6 to vtep1024)',
      '--add-interface=m-+ --add-interface=d-+ --add-interface=vtep+',
      '--add-port=64000/udp',
    ]) {
      expect(forward).toContain(words);
    }
  });

  test.each([
    ['a reject at the end', 'policy accept;\n reject with icmpx type admin-prohibited'],
    ['the policy', 'policy drop;\n ct state established,related accept\n oifname "eth0" accept'],
    [
      'the policy, after a map of states',
      'policy drop;\n ct state vmap { established : accept, related : accept }',
    ],
    ['a rule for its links', 'policy accept;\n iifname "m-*" counter drop'],
    ['a rule for its addresses', 'policy accept;\n ip saddr 9.0.0.0/8 log prefix "x" drop\n accept'],
    ['a chain that it jumps to', 'policy accept;\n jump other\n accept'],
  ])('a foreign chain on forward, by %s', async (_, rules) => {
    const chain = `chain f { type filter hook forward priority 10; ${rules}\n }`;
    const [text, ...more] = await told(`table inet site { chain other { drop\n }\n ${chain}\n }`);
    expect(text).toContain("the chain f of nftables' table inet site refuses dcos");
    expect(text).toContain(
      'have that table accept what comes by the links m-*, d-* and vtep*, and UDP port 64000',
    );
    expect(more).toEqual([]);
  });

  test('a chain of one family is reported for that family', async () => {
    const chain = 'chain f { type filter hook forward priority 10; policy drop;\n }';
    const [text = '', ...more] = await told(`table ip6 site { ${chain}\n }`);
    expect(more).toEqual([]);
    expect(text).toContain('dcos6 (IPv6, m-dcos6 to vtep1024)');
    expect(text).not.toContain('IPv4');
  });

  test('a chain that comes before iptables’ own is reported, too', async () => {
    const chain = 'chain f { type filter hook forward priority -5; policy drop;\n }';
    expect(await told(`table inet site { ${chain}\n }`)).toHaveLength(1);
  });

  test.each([
    ['all that it forwards', 'masquerade'],
    ['what comes from the overlay', 'ip saddr 9.0.0.0/8 oifname != "lo" masquerade random,fully-random'],
    ['all but the private ranges', 'ip daddr != { 10.0.0.0/8, 192.168.0.0/16 } counter snat to 172.17.0.3'],
    ['what comes to a chain of it', 'ip saddr 10.0.0.1 drop\n jump post'],
  ])('a foreign chain that masquerades %s', async (_, rules) => {
    const chain = `chain p { type nat hook postrouting priority 100; ${rules}\n }`;
    const [text, ...more] = await told(`table ip site { chain post { masquerade\n }\n ${chain}\n }`);
    expect(more).toEqual([]);
    expect(text).toContain(
      "the chain p of nftables' table ip site masquerades dcos (IPv4, m-dcos to vtep1024), dcos (IPv4, m-dcos from vtep1024)",
    );
    expect(text).toContain('nft insert rule ip site p oifname "vtep*" accept');
    expect(text).not.toContain('IPv6');
  });

  test('the report ends when the rule accepts our packets', async () => {
    expect(await told(firewalld())).toHaveLength(2);
    await node.sh('nft delete table inet firewalld');
    expect(await told('')).toEqual([]);
  });

  test('an nft that cannot run is reported as such', async () => {
    const host = new Host({
      log: silent,
      run: (_, args) => node.run('/nonexistent/nft', args),
      links: node.links,
      sysctls: '/nonexistent',
    });
    await host.look(known);
    expect(host.problems).toContainEqual({
      reason: 'FirewallUnread',
      message: expect.stringContaining('/nonexistent/nft'),
    });
  });
});

describe('no rule is reported of', () => {
  test('firewalld with the zones and the port that docs/install.md names', async () => {
    const trusted = (hook: string) =>
      ['m-*', 'd-*', 'vtep*'].map((link) => `iifname "${link}" goto filter_${hook}_trusted`).join('\n');
    const rules = firewalld({
      zones: trusted('IN'),
      forwardZones: trusted('FWD'),
      ports: 'tcp dport 22 accept\n udp dport 64000 accept',
    });
    expect(await told(rules)).toEqual([]);
  });

  test('firewalld whose uplink is in the zone trusted', async () => {
    const rules = firewalld({
      zones: 'iifname "eth1" goto filter_IN_trusted',
      forwardZones:
        'iifname { "m-dcos", "d-dcos", "m-dcos6", "d-dcos6", "vtep1024" } goto filter_FWD_trusted',
    });
    expect(await told(rules)).toEqual([]);
  });

  test('our own tables and rules, and Docker’s iptables policy, which our rules override', async () => {
    await node.sh('iptables-nft -P FORWARD DROP');
    await node.sh('ip6tables-nft -P FORWARD DROP');
    await node.sh('iptables-nft -A FORWARD -i docker0 -j ACCEPT');
    await node.sh('ip link add eth0 type veth peer name other');
    await node.sh(`ip addr add ${node2.addresses[0]}/16 dev eth0`);
    const { failures } = await new DataPath({ log: silent, run: node.run }).reconcile(known);
    expect(failures).toEqual([]);
    expect(
      await told(
        'table inet overlaynet { chain f { type filter hook forward priority 0; policy drop;\n }\n }',
      ),
    ).toEqual([]);
  });

  test('kube-proxy’s nftables mode', async () => {
    expect(await told(kubeProxy)).toEqual([]);
  });

  test.each([
    [
      'Calico, which refuses on links of its own',
      'policy accept;\n iifname "cali*" drop\n oifname "cali*" drop',
    ],
    ['what is invalid', 'policy accept;\n ct state invalid drop\n meta l4proto icmp drop'],
    ['another port', 'policy accept;\n udp dport 4789 drop\n tcp dport { 80, 100-200 } reject'],
    [
      'other addresses',
      'policy accept;\n ip saddr != 0.0.0.0/0 drop\n ip daddr { 1.1.1.1-1.1.1.9, 10.0.0.0/8 } drop',
    ],
    ['what a set accepts', 'policy drop;\n ip saddr @good accept\n ip6 saddr @good6 accept'],
    ['what a mark accepts', 'policy drop;\n meta mark & 0x1 == 0x1 accept'],
    ['what a limit drops', 'policy accept;\n limit rate over 10/second drop'],
    ['a pair of links', 'policy accept;\n iifname . oifname { "m-x" . "eth0" } drop'],
    ['what a chain returns from', 'policy accept;\n jump some'],
    [
      'what a map of links accepts',
      'policy drop;\n iifname vmap { "m-*" : accept, "d-*" : accept, "vtep*" : accept }',
    ],
    ['a map in a set', 'policy drop;\n ip saddr vmap @verdicts\n meta nfproto ipv6 accept'],
  ])('a foreign chain about %s', async (_, rules) => {
    expect(
      await told(`table inet site {
  set good { type ipv4_addr; }
  set good6 { type ipv6_addr; }
  map verdicts { type ipv4_addr : verdict; }
  chain some { iifname "m-*" return
    iifname "d-*" return
    iifname "vtep*" return
    drop
  }
  chain f { type filter hook forward priority 10; ${rules}
  }
}`),
    ).toEqual([]);
  });

  test.each([
    ['that leave by its uplink', 'oifname "eth0" masquerade'],
    ['of its own containers', 'ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade'],
    ['except overlays', 'oifname { "vtep1024", "m-dcos", "d-dcos" } accept\n masquerade'],
    [
      'with a mark, as kube-proxy does',
      'mark & 0x4000 != 0x4000 return\n mark set mark xor 0x4000\n masquerade',
    ],
    ['that a set has', 'ip saddr @pods masquerade'],
  ])('a foreign chain that masquerades packets %s', async (_, rules) => {
    const chain = `chain p { type nat hook postrouting priority 100; ${rules}\n }`;
    expect(await told(`table ip site { set pods { type ipv4_addr; }\n ${chain}\n }`)).toEqual([]);
  });

  test('a table of thousands of chains except its base chain, and reading it costs little', async () => {
    const chains = Array.from(
      { length: 2_000 },
      (_, at) => `chain c${at} { ip daddr 10.0.0.1 drop\n drop\n }`,
    );
    const base = 'chain f { type filter hook forward priority 10; policy accept;\n jump c7\n }';
    await node.sh('nft -f -', `table ip big { ${chains.join('\n')}\n ${base}\n }`);
    const ran: string[] = [];
    const host = new Host({
      log: silent,
      run: (program, args, options) => {
        ran.push(args.join(' '));
        return node.run(program, args, options);
      },
      sysctls: '/nonexistent',
    });
    await host.look(known);
    expect(host.problems.filter(({ reason }) => reason.startsWith('Firewall'))).toEqual([]);
    expect(ran).toEqual(['-t -j list chains', '-t -j list chain ip big f']);
  });
});

test('other programs’ tables are read once a minute, and less often if that takes long', async () => {
  const slow = new Host({
    log: silent,
    run: async (...call) => {
      await new Promise((resolve) => setTimeout(resolve, 800));
      return node.run(...call);
    },
    sysctls: '/nonexistent',
  });
  expect(await slow.look(known)).toBeGreaterThanOrEqual(80_000);
  expect(await new Host({ log: silent, sysctls: '/nonexistent' }).look(undefined)).toBe(60_000);
});
