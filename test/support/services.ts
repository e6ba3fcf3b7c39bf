import type { Netns } from './netns.ts';

/** A Service with one endpoint. */
export interface Service {
  name: string;
  ip: string;
  protocol: 'tcp' | 'udp';
  port: number;
  to: { ip: string; port: number };
  nodePort?: number;
  /** `externalTrafficPolicy: Local`: clients from outside keep their address. */
  local?: boolean;
}

/**
 * Adds kube-proxy's rules to a node (`detectLocalMode: InterfaceNamePrefix`, `m-`). Its accept rules are at the head of
 * the filter's chains. Beyond those, this accepts everything, where a real node may be stricter.
 */
export async function proxy(node: Netns, services: Service[]): Promise<void> {
  for (const family of [4, 6] as const) {
    const ofFamily = services.filter(({ ip }) => ip.includes(':') === (family === 6));
    await node.sh(`${family === 4 ? 'iptables' : 'ip6tables'}-nft-restore --noflush`, rules(ofFamily));
    const range = family === 4 ? '10.96.0.0/16' : 'fd00:96::/64';
    await node.sh(`ip -${family} route replace ${range} dev eth0`);
  }
}

const rules = (services: Service[]): string =>
  [
    '*filter',
    ...declare('KUBE-FORWARD', 'KUBE-FIREWALL'),
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT',
    '-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ...['FORWARD', 'INPUT', 'OUTPUT'].map((hook) => `-I ${hook} 1 -j ACCEPT`),
    '-I FORWARD 1 -j KUBE-FORWARD',
    '-I INPUT 1 -j KUBE-FIREWALL',
    'COMMIT',
    '*nat',
    ...declare('KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ'),
    ...services.flatMap(({ name }) => declare(`KUBE-SVC-${name}`, `KUBE-SEP-${name}`, `KUBE-EXT-${name}`)),
    ...['PREROUTING', 'OUTPUT'].map((hook) => `-I ${hook} 1 -j KUBE-SERVICES`),
    '-I POSTROUTING 1 -j KUBE-POSTROUTING',
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0',
    '-A KUBE-POSTROUTING -j MASQUERADE',
    ...services.flatMap(service),
    '-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    'COMMIT',
    '',
  ].join('\n');

const declare = (...chains: string[]) => chains.map((chain) => `:${chain} - [0:0]`);

function service({ name, ip, protocol, port, to, nodePort, local = false }: Service): string[] {
  const endpoint = ip.includes(':') ? `[${to.ip}]:${to.port}` : `${to.ip}:${to.port}`;
  const matches = `-d ${ip} -p ${protocol} -m ${protocol} --dport ${port}`;
  return [
    `-A KUBE-SERVICES ${matches} -j KUBE-SVC-${name}`,
    `-A KUBE-SVC-${name} ! -i m-+ ${matches} -j KUBE-MARK-MASQ`,
    `-A KUBE-SVC-${name} -j KUBE-SEP-${name}`,
    `-A KUBE-SEP-${name} -s ${to.ip} -j KUBE-MARK-MASQ`,
    `-A KUBE-SEP-${name} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${endpoint}`,
    `-A KUBE-EXT-${name}${local ? ' -m addrtype --src-type LOCAL' : ''} -j KUBE-MARK-MASQ`,
    `-A KUBE-EXT-${name} -j KUBE-SVC-${name}`,
    ...(nodePort === undefined
      ? []
      : [`-A KUBE-NODEPORTS -p ${protocol} -m ${protocol} --dport ${nodePort} -j KUBE-EXT-${name}`]),
  ];
}
