import type { AgentAllocation } from '../../src/api/types.ts';
import type { Container } from './containers.ts';
import type { Lab } from './lab.ts';
import type { PingResult } from './pings.ts';
import { table } from './table.ts';

function allocations(all: AgentAllocation[]): string {
  const rows = all.flatMap(({ metadata, spec }) =>
    (spec.networks ?? []).flatMap(({ name, subnets }, index) =>
      subnets.map((subnet) => [
        ...(index === 0
          ? [
              metadata.name,
              spec.addresses.join(' '),
              [spec.vtep?.ip, spec.vtep?.ip6].filter(Boolean).join(' '),
            ]
          : ['', '', '']),
        name,
        subnet.cidr,
        subnet.bridges?.cni ?? '-',
        subnet.bridges?.docker ?? '-',
      ]),
    ),
  );
  return table([['NODE', 'ADDRESS', 'VTEP', 'NETWORK', 'SUBNET', 'CNI BRIDGE', 'DOCKER BRIDGE'], ...rows]);
}

function pings(all: PingResult[]): string {
  return table([
    ['NETWORK', 'FROM', 'TO', 'ADDRESS', 'ANSWERED', 'AVERAGE'],
    ...all.map((one) => [
      one.from.network,
      `${one.from.node}/${one.from.name}`,
      one.target,
      one.to,
      `${one.received} of ${one.sent}`,
      one.average === undefined ? '-' : `${one.average.toFixed(2)} ms`,
    ]),
  ]);
}

export interface RaisedLab {
  lab: Lab;
  networks: string;
  allocations: AgentAllocation[];
  containers: Container[];
  pings: PingResult[];
  stateURL: string;
  kubeconfig: string;
}

export function report(raised: RaisedLab): string {
  const indented = (text: string) => text.trimEnd().replace(/^/gm, '  ');
  const [first, second] = raised.containers;
  const peer = raised.containers.find((one) => one.network === first?.network && one !== first) ?? second;
  const lab = raised.lab.name === 'overlaynet' ? '' : ` --lab ${raised.lab.name}`;
  const next = [
    `export KUBECONFIG=${raised.kubeconfig}`,
    'kubectl get overlaynetworks,agentallocations',
    `curl ${raised.stateURL}`,
    ...(first && peer
      ? [
          `hack/lab${lab} exec ${first.node} ${first.name} -- ping ${peer.addresses[0] ?? ''}`,
          `hack/lab${lab} run ${first.node} ${first.network} --name mine -- ip address`,
        ]
      : []),
    `hack/lab${lab} ls`,
  ];
  return [
    `Networks\n${indented(raised.networks)}`,
    `Allocations\n${allocations(raised.allocations)}`,
    ...(raised.pings.length === 0
      ? []
      : [`Pings from container to container and to the nodes\n${pings(raised.pings)}`]),
    `State document  ${raised.stateURL}\nKubeconfig      ${raised.kubeconfig}\nLogs            ${raised.lab.dir}/logs`,
    `Try next\n${indented(next.join('\n'))}`,
  ].join('\n\n');
}
