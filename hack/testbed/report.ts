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

export interface Happened {
  lab: Lab;
  networks: string;
  allocations: AgentAllocation[];
  containers: Container[];
  pings: PingResult[];
  stateURL: string;
  kubeconfig: string;
}

export function report(what: Happened): string {
  const indented = (text: string) => text.trimEnd().replace(/^/gm, '  ');
  const [first, second] = what.containers;
  const peer = what.containers.find((one) => one.network === first?.network && one !== first) ?? second;
  const lab = what.lab.name === 'overlaynet' ? '' : ` --lab ${what.lab.name}`;
  const next = [
    `export KUBECONFIG=${what.kubeconfig}`,
    'kubectl get overlaynetworks,agentallocations',
    `curl ${what.stateURL}`,
    ...(first && peer
      ? [
          `hack/lab${lab} exec ${first.node} ${first.name} -- ping ${peer.addresses[0] ?? ''}`,
          `hack/lab${lab} run ${first.node} ${first.network} --name mine -- ip address`,
        ]
      : []),
    `hack/lab${lab} ls`,
  ];
  return [
    `Networks\n${indented(what.networks)}`,
    `Allocations\n${allocations(what.allocations)}`,
    ...(what.pings.length === 0
      ? []
      : [`Pings from container to container and to the nodes\n${pings(what.pings)}`]),
    `State document  ${what.stateURL}\nKubeconfig      ${what.kubeconfig}\nLogs            ${what.lab.dir}/logs`,
    `Try next\n${indented(next.join('\n'))}`,
  ].join('\n\n');
}
