import { asksForSomething } from '../rows/agents.ts';
import { reachOf } from '../rows/isolation.ts';
import type { AgentRow, BlockRow, NetworkRow, SpaceRow } from '../rows/row.ts';
import { kernelStep, ok, upToWrong, wrong, type Chain, type Kernels, type Read, type Step } from './chain.ts';
import { networkStep, peerSteps } from './networksteps.ts';

/** The known facts about a node or a network. */
export interface ClusterFacts {
  networks: readonly NetworkRow[];
  agents: readonly AgentRow[];
  blocks: readonly BlockRow[];
  spaces: readonly SpaceRow[];
  kernels: Read<Kernels>;
}

export const nodeChain = (node: string, facts: ClusterFacts): Chain => ({
  about: `node ${node}`,
  steps: upToWrong(nodeSteps(node, facts)),
});

/** The reason why an agent does not report what it waits for: it does not answer the operator. Empty if it may answer. */
function silenceOf(node: string, kernels: ClusterFacts['kernels']): string {
  if ('why' in kernels) return '';
  const silent = kernels.value.unanswered.find((one) => one.node === node && one.answer === undefined);
  return silent === undefined ? '' : `; its agent does not answer: ${silent.reason}`;
}

function* nodeSteps(node: string, { agents, blocks, kernels }: ClusterFacts): Generator<Step> {
  const row = agents.find((one) => one.node === node);
  const pods = `kubectl get pods -n overlaynet-system -o wide --field-selector spec.nodeName=${node}`;
  const describe = `kubectl describe overlayagent ${node}`;
  if (row === undefined) {
    yield wrong(
      'node',
      `there is no Node ${node} that agents are for`,
      'kubectl get nodes; kubectl overlay agents',
    );
    return;
  }
  if (row.state === 'Gone')
    yield wrong(
      'node',
      row.message,
      'the operator releases it by itself, unless an alarm stops it: kubectl overlay status',
    );
  else yield ok('node', `${node} is there`);
  if (row.state === 'Missing') yield wrong('agent', row.message, pods);
  else yield ok('agent', `registered with ${row.addresses.join(', ')}`);
  if (row.state === 'Refused') yield wrong('accepted', row.message, describe);
  else yield ok('accepted', 'the operator takes its registration');
  if (row.vtep === undefined)
    yield wrong(
      'VTEP',
      row.message,
      'kubectl logs -n overlaynet-system deploy/overlaynet-operator; kubectl overlay status',
    );
  else yield ok('VTEP', `${[row.vtep.ip, row.vtep.ip6].filter(Boolean).join(', ')}, ${row.vtep.mac}`);
  yield blocksStep(row, blocks);
  const failed = row.networks.find(({ state }) => state !== 'OK');
  const mute = silenceOf(node, kernels);
  if (failed !== undefined)
    yield wrong(
      'ready',
      `${failed.name} is ${failed.state}${failed.message && `: ${failed.message}`}${mute}`,
      mute === '' ? describe : pods,
    );
  else yield ok('ready', `the agent reports ${row.networks.length} networks OK`);
  const bad = row.conditions.find(asksForSomething);
  if (bad !== undefined) yield wrong('conditions', `${bad.type}/${bad.reason}: ${bad.message}`, describe);
  else yield ok('conditions', row.conditions.map(({ type }) => type).join(', ') || 'none asks for anything');
  const nodes = [node];
  yield kernelStep('link', kernels, { nodes }, 'the links of all its containers are as they should be');
  yield kernelStep('bridge', kernels, { nodes }, 'the bridges and the tunnel’s link are as they should be');
  yield* peerSteps(
    { kernels, agents },
    node,
    undefined,
    blocks.filter((one) => one.node === node),
  );
  yield kernelStep('isolation', kernels, { nodes }, 'its sets, chains and tables are as they should be');
  yield kernelStep('NAT', kernels, { nodes }, 'its rules of nat are as they should be');
}

/** Compares the node's blocks in the ledger with its allocation. */
function blocksStep(row: AgentRow, blocks: readonly BlockRow[]): Step {
  const held = blocks.filter(
    ({ node, network, state }) => node === row.node && network !== '' && state === 'Held',
  );
  const shown = row.networks.flatMap(({ subnets }) => subnets);
  const unshown = held.find(({ cidr }) => !shown.includes(cidr));
  const describe = `kubectl get agentallocation ${row.node} -o yaml; kubectl overlay check`;
  if (unshown !== undefined)
    return wrong(
      'blocks',
      `the ledger gives it ${unshown.cidr} of ${unshown.network}, and its allocation does not show it`,
      describe,
    );
  const unheld = shown.find((cidr) => !held.some((one) => one.cidr === cidr));
  if (unheld !== undefined)
    return wrong('blocks', `its allocation shows ${unheld}, and the ledger does not give it that`, describe);
  return ok(
    'blocks',
    held.map(({ network, cidr }) => `${network} ${cidr}`).join(', ') || 'no network chooses it',
  );
}

export const networkChain = (network: string, facts: ClusterFacts): Chain => ({
  about: `network ${network}`,
  steps: upToWrong(networkSteps(network, facts)),
});

function* networkSteps(
  network: string,
  { networks, agents, spaces, kernels }: ClusterFacts,
): Generator<Step> {
  yield networkStep(networks, network);
  const row = networks.find(({ name }) => name === network);
  const describe = `kubectl describe overlaynetwork ${network}`;
  const refused = row?.subnets.find(({ state }) => state === 'Refused');
  if (refused !== undefined)
    yield wrong('subnets', `${refused.cidr} is not in force: ${row?.message ?? ''}`, describe);
  else
    yield ok(
      'subnets',
      row?.subnets.map(({ cidr, prefix, state }) => `${cidr} in /${prefix}, ${state}`).join('; ') ?? '',
    );
  const { waiting = 0, failed = 0, ready = 0, allocated = 0 } = row?.agents ?? {};
  const own = spaces.filter((space) => space.network === network && space.state === 'Active');
  const full = own.find(({ free }) => free === 0);
  if (waiting > 0)
    yield wrong(
      'blocks',
      `${waiting} nodes wait for a block${full === undefined ? '' : `: ${full.cidr} is full`}`,
      full === undefined
        ? describe
        : `add a subnet to spec.subnets, or take nodes out by spec.nodeSelector: ${describe}`,
    );
  else
    yield ok('blocks', own.map(({ cidr, held, free }) => `${cidr}: ${held} held, ${free} free`).join('; '));
  const on = agents.flatMap((agent) =>
    agent.networks.flatMap((one) => (one.name === network ? [{ node: agent.node, ...one }] : [])),
  );
  const bad = on.find(({ state }) => state !== 'OK');
  if (bad !== undefined)
    yield wrong(
      'agents',
      `${bad.node}: ${bad.state}${bad.message && `: ${bad.message}`} (${ready} of ${allocated} nodes ready, ${failed} failed)`,
      `kubectl overlay why node ${bad.node}`,
    );
  else yield ok('agents', `${on.length} nodes report it OK`);
  const nodes = on.map(({ node }) => node);
  const concerns = (one: { network?: string }) => one.network === undefined || one.network === network;
  const looked = { nodes, concerns };
  yield kernelStep('link', kernels, looked, 'the links of its containers are as they should be');
  yield kernelStep(
    'bridge',
    kernels,
    looked,
    `bridge m-${network} is as it should be on ${nodes.length} nodes`,
  );
  yield kernelStep('peers', kernels, looked, 'each node has its entries for the others');
  yield kernelStep('isolation', kernels, { nodes }, reachOf(network, networks));
  yield kernelStep('NAT', kernels, { nodes }, 'the rules of nat are as they should be');
}
