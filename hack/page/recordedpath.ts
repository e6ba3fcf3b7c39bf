import { talks } from '../../src/rows/isolation.ts';
import { networkRow } from '../../src/rows/networks.ts';
import { parseTraceQuery, type Hop, type TraceQuery } from '../../src/rows/trace.ts';
import type { Peers } from '../../src/operator/peers.ts';
import { withoutLength } from '../../src/net/address.ts';
import type { Recorded } from './recorded.ts';

const ok = (what: Hop['what'], evidence: string): Hop => ({ what, is: 'OK', evidence });
const wrong = (what: Hop['what'], evidence: string): Hop => ({ what, is: 'Wrong', evidence });

/** Agents that answer from the recorded cluster, with the same phrases as src/linux/trace.ts. */
export const recordedPeers = (recorded: () => Recorded): Pick<Peers, 'containers' | 'trace'> => ({
  containers: (wanted) => {
    const node = wanted?.node;
    const { containers, unanswered } = recorded();
    return Promise.resolve({
      rows: containers.filter((row) => node === undefined || row.node === node),
      unanswered: unanswered.filter((one) => node === undefined || one.node === node),
    });
  },
  trace: (node, query) => {
    const { unanswered } = recorded();
    const silent = unanswered.find((one) => one.node === node);
    if (silent !== undefined) return Promise.resolve({ problem: silent.reason });
    return Promise.resolve({ hops: upToWrong(hopsOf(recorded(), node, parseTraceQuery(query))) });
  },
});

const upToWrong = (hops: Hop[]): Hop[] => {
  const at = hops.findIndex(({ is }) => is === 'Wrong');
  return at < 0 ? hops : hops.slice(0, at + 1);
};

function hopsOf(recorded: Recorded, node: string, query: TraceQuery): Hop[] {
  const { from, to, side, peer = '' } = query;
  const of = (address: string) => recorded.containers.find(({ addresses }) => addresses.includes(address));
  const [source, target] = [of(from), of(to)];
  const bridge = (network: string | undefined) => `m-${network ?? 'dcos'}`;
  const last = [
    ok(
      'NAT',
      `keeps its source ${from}, by nat OVERLAYNET-POSTROUTING: -m set --match-set overlaynet-overlays-4 dst -j ACCEPT`,
    ),
    ok('container', `${to} is ${target?.mac ?? ''} on ${bridge(target?.network)} (REACHABLE)`),
  ];
  if (side === 'in')
    return [
      ok('member', `${peer} is in overlaynet-members-4: its tunnel packets are taken`),
      ok('route', `${to} dev ${bridge(target?.network)}`),
      ok('isolation', 'no rule of overlaynet drops it'),
      ...last,
    ];
  const first = ok('bridge', `${from} is on ${bridge(source?.network)} (ip route get ${from})`);
  const rules = rulesHop(recorded, source?.network, target?.network);
  if (target?.node === node)
    return [first, ok('route', `${to} dev ${bridge(target.network)}`), rules, ...last];
  const end = recorded.world.allocations.get(target?.node ?? '');
  const vtep = withoutLength(end?.spec.vtep?.ip ?? '');
  const mac = end?.spec.vtep?.mac ?? '';
  const address = end?.spec.addresses[0] ?? '';
  const isBroken = recorded.world.agents
    .get(node)
    ?.status?.networks?.some(({ name, state }) => name === source?.network && state === 'Failed');
  if (isBroken === true || target === undefined) return [first, wrong('route', `${to} unreachable table 42`)];
  const isUnknown = recorded.world.agents
    .get(target.node)
    ?.status?.networks?.some(({ state }) => state === 'Failed');
  return [
    first,
    ok('route', `${to} via ${vtep} dev vtep1024 table 42`),
    rules,
    ok(
      'NAT',
      `keeps its source ${from}, by nat OVERLAYNET-POSTROUTING: -m set --match-set overlaynet-overlays-4 dst -j ACCEPT`,
    ),
    ok('neighbour', `${vtep} is ${mac} on vtep1024`),
    isUnknown === true
      ? wrong('FDB', `vtep1024 has no forwarding entry for ${mac}`)
      : ok('FDB', `${mac} is behind ${address} on vtep1024`),
    ok('underlay', `${address} dev eth0`),
  ];
}

function rulesHop({ world }: Recorded, from: string | undefined, to: string | undefined): Hop {
  const [a, b] = [from, to].map((name) => world.networks.find(({ metadata }) => metadata.name === name));
  if (a === undefined || b === undefined || talks(networkRow(a), networkRow(b)))
    return ok('isolation', 'no rule of overlaynet drops it');
  return wrong(
    'isolation',
    `DROP by mangle OVERLAYNET-FORWARD: -m set --match-set overlaynet-net-${to ?? ''}-4 dst -j DROP`,
  );
}
