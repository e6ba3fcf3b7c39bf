import { command } from '../parts/command.ts';
import { docker, type Engine } from '../testbed/engine.ts';

/** For KIND_EXPERIMENTAL_DOCKER_NETWORK: a network of our own. */
export const networkName = 'overlaynet-e2e';
/** With a name of its own, rules can name it. */
const bridge = 'br-ovt-e2e';
const mark = 'overlaynet-e2e';
const subnet6 = 'fd6f:766c:6e65::/64';

type Rule = [program: 'iptables' | 'ip6tables', table: string, chain: string, ...rule: string[]];

/**
 * Beside the user's own engine there is an uplink. What the cluster sends stays on the bridge: nothing is forwarded from
 * it, and a packet whose source is not of the nodes' own subnet (an overlay's that went astray) is dropped before the
 * machine sees it, so that it never answers one by its default route.
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
  // each is put first: the last of the list comes to stand at the top
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

/** Makes the cluster's network, without masquerade, and seals it. */
export async function addNetwork(engine: Engine): Promise<void> {
  await removeNetwork(engine);
  const options = [`bridge.name=${bridge}`, 'bridge.enable_ip_masquerade=false'];
  await docker(engine, [
    ...['network', 'create', '-d', 'bridge'],
    ...options.flatMap((option) => ['-o', `com.docker.network.${option}`]),
    ...['--ipv6', '--subnet', subnet6],
    // where nothing else is, always the same; beside others one that the engine finds free
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

/** Takes the network and the rules about it away, as far as they are there. */
export async function removeNetwork(engine: Engine): Promise<void> {
  if (!engine.sealed) await unseal();
  const names = (await docker(engine, ['network', 'ls', '--format', '{{.Name}}'])).split('\n');
  if (names.includes(networkName)) await docker(engine, ['network', 'rm', networkName]);
}
