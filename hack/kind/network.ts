import { command } from '../parts/command.ts';
import { docker, type Engine } from '../testbed/engine.ts';

/** The value of KIND_EXPERIMENTAL_DOCKER_NETWORK: kind then uses this network instead of its default. */
export const networkName = 'overlaynet-e2e';
/** A fixed bridge name, so that firewall rules can name it. */
const bridge = 'br-ovt-e2e';
const mark = 'overlaynet-e2e';
const subnet6 = 'fd6f:766c:6e65::/64';

type Rule = [program: 'iptables' | 'ip6tables', table: string, chain: string, ...rule: string[]];

/**
 * The user's own engine has an uplink. These rules keep the cluster's packets on the bridge: the machine forwards none
 * of them. It also drops packets whose source is outside the nodes' own subnet (stray packets of an overlay), so that
 * it never answers one through its default route.
 */
function seal(subnets: string[]): Rule[] {
  const subnet4 = subnets.find((subnet) => !subnet.includes(':')) ?? '';
  const raw = (program: Rule[0], ...rule: string[]): Rule => [
    program,
    'raw',
    'PREROUTING',
    '-i',
    bridge,
    ...rule,
  ];
  const forward = (program: Rule[0]): Rule => [
    ...([program, 'filter', 'FORWARD', '-i', bridge] as const),
    ...['!', '-o', bridge, '-j', 'REJECT'],
  ];
  // each rule is inserted at the top, so that the last one of this list is the first in the chain
  return [
    forward('iptables'),
    forward('ip6tables'),
    raw('iptables', '!', '-s', subnet4, '-j', 'DROP'),
    raw('ip6tables', '!', '-s', subnet6, '-j', 'DROP'),
    // neighbour discovery
    raw('ip6tables', '-s', 'fe80::/10', '-j', 'ACCEPT'),
    raw('ip6tables', '-s', '::/128', '-j', 'ACCEPT'),
  ];
}

async function unseal(): Promise<void> {
  for (const program of ['iptables', 'ip6tables']) {
    for (const [table, chain] of [
      ['raw', 'PREROUTING'],
      ['filter', 'FORWARD'],
    ] as const) {
      const rules = (await command(program, ['-t', table, '-S', chain])).split('\n');
      for (const rule of rules.filter((one) => one.includes(`--comment ${mark} `)))
        await command(program, ['-t', table, '-D', chain, ...rule.split(' ').slice(2)]);
    }
  }
}

/** Makes the cluster's network, without masquerade, and adds the sealing rules. */
export async function addNetwork(engine: Engine): Promise<void> {
  await removeNetwork(engine);
  const options = [`bridge.name=${bridge}`, 'bridge.enable_ip_masquerade=false'];
  await docker(engine, [
    ...['network', 'create', '-d', 'bridge'],
    ...options.flatMap((option) => ['-o', `com.docker.network.${option}`]),
    ...['--ipv6', '--subnet', subnet6],
    // always the same subnet in an engine of our own; if there are other networks, the engine chooses a free one
    ...(engine.sealed ? ['--subnet', '172.18.0.0/16'] : []),
    networkName,
  ]);
  if (engine.sealed) return;
  const format = '{{range .IPAM.Config}}{{println .Subnet}}{{end}}';
  const subnets = (await docker(engine, ['network', 'inspect', '-f', format, networkName]))
    .trim()
    .split('\n');
  for (const [program, table, chain, ...rule] of seal(subnets))
    await command(program, ['-t', table, '-I', chain, '-m', 'comment', '--comment', mark, ...rule]);
}

/** Removes the network and its rules, if they exist. */
export async function removeNetwork(engine: Engine): Promise<void> {
  if (!engine.sealed) await unseal();
  const names = (await docker(engine, ['network', 'ls', '--format', '{{.Name}}'])).split('\n');
  if (names.includes(networkName)) await docker(engine, ['network', 'rm', networkName]);
}
