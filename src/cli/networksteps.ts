import { bridgesLabel } from '../api/labels.ts';
import { withoutLength } from '../net/address.ts';
import type { AgentRow, BlockRow, NetworkRow } from '../rows/row.ts';
import { kernelStep, ok, wrong, type Kernels, type Read, type Step } from './chain.ts';

/** Steps that chains of pods, nodes and networks have in common: is the network in force, does the node hold its block. */

export function networkStep(networks: readonly NetworkRow[], network: string): Step {
  const row = networks.find(({ name }) => name === network);
  const describe = `kubectl describe overlaynetwork ${network}`;
  if (row === undefined) {
    const names = networks.map(({ name }) => name).join(', ') || 'none';
    return wrong('network', `there is no network ${network}`, `create it, or name another: ${names}`);
  }
  if (row.state === 'Disabled')
    return wrong('network', `${network} is disabled`, `set spec.enabled of overlaynetwork ${network}`);
  if (row.state === 'Refused') return wrong('network', `${network} is refused: ${row.message}`, describe);
  return ok('network', `${network} is ${row.state}: ${row.subnets.map(({ cidr }) => cidr).join(', ')}`);
}

export function blockStep(held: readonly BlockRow[], node: string, network: string): Step {
  const what = 'block';
  const [own] = held.filter(({ state }) => state === 'Held');
  if (own === undefined) {
    const [other] = held;
    const evidence =
      other === undefined
        ? `node ${node} holds no block of ${network}`
        : `block ${other.cidr} of node ${node} is ${other.state}`;
    return wrong(
      what,
      evidence,
      `its nodeSelector may leave the node out, or its subnet is full: kubectl describe overlaynetwork ${network}`,
    );
  }
  if (own.bridges?.cni === undefined)
    return wrong(
      what,
      `block ${own.cidr} of node ${node} has no part for pods`,
      `the network is not for CNI (spec.containerizers), or the node has the label ${bridgesLabel}=false`,
    );
  return ok(what, held.map(({ cidr, bridges }) => `${cidr}, pods ${bridges?.cni ?? 'none'}`).join('; '));
}

/** The agent's report about the network. */
export function agentStep(agents: readonly AgentRow[], node: string, network: string): Step {
  const report = agents.find((row) => row.node === node)?.networks.find(({ name }) => name === network);
  const describe = `kubectl describe overlayagent ${node}`;
  if (report === undefined) return wrong('ready', `node ${node} was not given ${network} yet`, describe);
  if (report.state === 'OK') return ok('ready', `the agent of ${node} reports ${network} OK`);
  const why = report.message === '' ? '' : `: ${report.message}`;
  return wrong('ready', `the agent of ${node} reports ${network} ${report.state}${why}`, describe);
}

/** Examines this node's entries for other nodes, and other nodes' entries for this node: those with its addresses, MAC or blocks. */
export function* peerSteps(
  { kernels, agents }: { kernels: Read<Kernels>; agents: readonly AgentRow[] },
  node: string,
  network: string | undefined,
  held: readonly BlockRow[],
): Generator<Step> {
  const others = agents.filter((row) => row.node !== node && row.vtep !== undefined).map((row) => row.node);
  const concerns = (row: { network?: string }) =>
    network === undefined || row.network === undefined || row.network === network;
  yield kernelStep(
    'peers',
    kernels,
    { nodes: [node], concerns },
    `entries for ${others.length} other nodes are there`,
  );
  const own = agents.find((row) => row.node === node);
  const marks = [
    ...(own?.addresses ?? []),
    own?.vtep?.mac,
    own?.vtep?.ip && withoutLength(own.vtep.ip),
    own?.vtep?.ip6 && withoutLength(own.vtep.ip6),
    ...held.map(({ cidr }) => cidr),
  ].filter((one) => one !== undefined);
  const mentions = ({ object }: { object: string }) => marks.some((mark) => object.split(' ').includes(mark));
  const back = kernelStep('peers', kernels, { nodes: others, concerns: mentions }, '');
  if (back.is !== 'OK') yield { ...back, what: 'way back' };
  else yield ok('way back', `${others.length} other nodes have entries for ${node}`);
}
