import { networkAnnotation } from '../api/labels.ts';
import { selects, selectorText } from '../api/selector.ts';
import type { KubeObject, OverlayNetwork } from '../api/types.ts';
import { namesOf, namesRemedy } from '../api/networknames.ts';
import type { Pod } from '../kube/resources.ts';
import { parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import { cniBridge } from '../net/name.ts';
import { reachOf } from '../rows/isolation.ts';
import type { AgentRow, BlockRow, ContainerRow, NetworkRow, Unanswered } from '../rows/row.ts';
import {
  kernelStep,
  ok,
  unknown,
  upToWrong,
  wrong,
  type Chain,
  type Kernels,
  type Read,
  type Step,
} from './chain.ts';
import { agentStep, blockStep, networkStep, peerSteps } from './networksteps.ts';

/** The known facts about a pod and its networks. */
export interface PodFacts {
  namespace: string;
  name: string;
  /** Undefined if there is no such pod. */
  pod: Read<Pod | undefined>;
  namespaceObject: Read<KubeObject | undefined>;
  defaultNetwork: Read<string>;
  /** By name; for selectors. */
  specs: Read<ReadonlyMap<string, OverlayNetwork>>;
  networks: readonly NetworkRow[];
  agents: readonly AgentRow[];
  blocks: readonly BlockRow[];
  containers: Read<{ rows: readonly ContainerRow[]; unanswered: readonly Unanswered[] }>;
  kernels: Read<Kernels>;
}

const look = 'look with kubectl, as a user who may';

/** One chain for each network that the pod asks for; a single one if it ends before that. */
export function podChains(facts: PodFacts): Chain[] {
  const about = `pod ${facts.namespace}/${facts.name}`;
  const head = upToWrong(beginning(facts));
  const requested = head.some(({ is }) => is === 'Wrong') ? undefined : requestOf(facts);
  if (requested === undefined || requested.names === undefined) {
    const last = requested === undefined ? [] : [requested.step];
    return [{ about, steps: [...head, ...last] }];
  }
  const { names, step } = requested;
  const node = nodeOf(facts);
  return names.map((network) => ({
    about: `${about} on network ${network}`,
    steps: [...head, step, ...upToWrong(onNetwork(facts, node, network))],
  }));
}

const podOf = ({ pod }: PodFacts): Pod | undefined => ('value' in pod ? pod.value : undefined);

/** The pod's node. If the pod cannot be read, its containers' rows name the node. */
function nodeOf(facts: PodFacts): string {
  const spec = podOf(facts)?.spec;
  return spec?.nodeName ?? recordsOf(facts)[0]?.node ?? '';
}

const recordsOf = ({ containers, namespace, name }: PodFacts): ContainerRow[] =>
  'value' in containers
    ? containers.value.rows.filter((row) => row.namespace === namespace && row.pod === name)
    : [];

function* beginning(facts: PodFacts): Generator<Step> {
  yield podStep(facts);
  const node = nodeOf(facts);
  const agent = facts.agents.find((row) => row.node === node);
  const pods = `kubectl get pods -n overlaynet-system -o wide --field-selector spec.nodeName=${node}`;
  if (node === '') yield unknown('agent', 'which node the pod is on is not known', look);
  else if (agent === undefined || agent.state === 'Missing' || agent.state === 'Gone')
    yield wrong('agent', agent?.message ?? `no agent has registered on node ${node}`, pods);
  else if (agent.state === 'Refused' || agent.state === 'Waiting')
    yield wrong('agent', `${agent.state}: ${agent.message}`, `kubectl describe overlayagent ${node}`);
  else yield ok('agent', `of node ${node}: ${agent.state}${agent.message && `, ${agent.message}`}`);
}

function podStep(facts: PodFacts): Step {
  const { namespace, name } = facts;
  if ('why' in facts.pod) return unknown('pod', facts.pod.why, look);
  const pod = facts.pod.value;
  if (pod === undefined)
    return wrong('pod', `there is no pod ${namespace}/${name}`, `kubectl get pods -n ${namespace}`);
  const { nodeName, hostNetwork = false } = pod.spec ?? {};
  const phase = pod.status?.phase ?? 'Pending';
  const describe = `kubectl describe pod -n ${namespace} ${name}`;
  if (hostNetwork)
    return wrong(
      'pod',
      'it has its node’s network (spec.hostNetwork), and so no overlay',
      'leave spec.hostNetwork out for a network of its own',
    );
  if (nodeName === undefined) return wrong('pod', 'it is on no node yet', describe);
  if (phase === 'Succeeded' || phase === 'Failed')
    return wrong('pod', `it has ended (${phase}): its addresses are given back`, describe);
  const addresses = (pod.status?.podIPs ?? []).map(({ ip }) => ip).join(', ');
  return ok('pod', `on node ${nodeName}, ${phase}${addresses && `, ${addresses}`}`);
}

/** The networks that the pod's annotation asks for, else its namespace's, else the configuration's. */
function requestOf(facts: PodFacts): { step: Step; names?: string[] } {
  const what = 'annotation';
  if ('why' in facts.pod) {
    const names = [...new Set(recordsOf(facts).map(({ network }) => network))];
    const step = unknown(what, 'the pod could not be read; its containers tell its networks', look);
    return names.length === 0 ? { step } : { step, names };
  }
  const own = podOf(facts)?.metadata.annotations?.[networkAnnotation];
  if (own !== undefined && own !== '') return named(own, 'of the pod');
  if ('why' in facts.namespaceObject) return { step: unknown(what, facts.namespaceObject.why, look) };
  const inherited = facts.namespaceObject.value?.metadata.annotations?.[networkAnnotation];
  if (inherited !== undefined && inherited !== '') return named(inherited, `of namespace ${facts.namespace}`);
  if ('why' in facts.defaultNetwork) return { step: unknown(what, facts.defaultNetwork.why, look) };
  const names = [...new Set(facts.defaultNetwork.value.split(','))];
  const there = names.filter((name) => facts.networks.some((row) => row.name === name));
  const text = `none: defaultNetwork ${facts.defaultNetwork.value} of OverlayConfig default`;
  const remedy = `create one of these networks, or annotate the pod with ${networkAnnotation}`;
  return there.length === 0
    ? { step: wrong(what, `${text}, and no such network is there`, remedy) }
    : { step: ok(what, text), names: there };
}

function named(text: string, source: string): { step: Step; names?: string[] } {
  const names = namesOf(text);
  const evidence = `${networkAnnotation} ${source}: ${text}`;
  return typeof names === 'string'
    ? { step: wrong('annotation', `${networkAnnotation} ${source}: ${names}`, namesRemedy) }
    : { step: ok('annotation', evidence), names };
}

function* onNetwork(facts: PodFacts, node: string, network: string): Generator<Step> {
  yield networkStep(facts.networks, network);
  yield selectorStep(facts, network);
  const held = facts.blocks.filter((row) => row.node === node && row.network === network);
  yield blockStep(held, node, network);
  yield agentStep(facts.agents, node, network);
  const record = recordsOf(facts).find((row) => row.network === network);
  yield leaseStep(facts, node, network, record, held);
  yield linkStep(facts.kernels, record);
  const nodes = [node];
  const concerns = (row: { network?: string }) => row.network === undefined || row.network === network;
  const bridge = `${cniBridge(network)} and the tunnel’s link are as they should be`;
  yield kernelStep('bridge', facts.kernels, { nodes, concerns }, bridge);
  yield* peerSteps(facts, node, network, held);
  yield kernelStep('isolation', facts.kernels, { nodes }, reachOf(network, facts.networks));
  const nat = 'beyond the overlays it appears with its node’s address; to overlays and nodes with its own';
  yield kernelStep('NAT', facts.kernels, { nodes }, nat);
}

function selectorStep({ specs, namespaceObject, namespace }: PodFacts, network: string): Step {
  const what = 'selector';
  if ('why' in specs) return unknown(what, specs.why, look);
  const selector = specs.value.get(network)?.spec.namespaceSelector;
  if (selector === undefined) return ok(what, `${network} is for all namespaces`);
  if ('why' in namespaceObject) return unknown(what, namespaceObject.why, look);
  const rule = selectorText(selector);
  return selects(selector, namespaceObject.value?.metadata.labels)
    ? ok(what, `namespace ${namespace} is chosen by ${rule}`)
    : wrong(
        what,
        `${network} is for namespaces with ${rule}, and ${namespace} is not one`,
        `label the namespace so: kubectl label namespace ${namespace} …; or ask for another network`,
      );
}

function leaseStep(
  { containers, kernels, namespace, name, pod }: PodFacts,
  node: string,
  network: string,
  record: ContainerRow | undefined,
  held: readonly BlockRow[],
): Step {
  const what = 'lease';
  const describe = `kubectl describe pod -n ${namespace} ${name}`;
  if ('why' in containers) return unknown(what, containers.why, 'use a token of overlaynet-inspector');
  if (record === undefined) {
    const silent = containers.value.unanswered.find((one) => one.node === node);
    if (silent !== undefined)
      return unknown(
        what,
        `the agent of ${node} did not say all: ${silent.reason}`,
        `does it run on ${node}?`,
      );
    return wrong(
      what,
      `node ${node} has no record of it on ${network}: the CNI plugin did not give it an address`,
      `its events say why: ${describe}; a pod from before overlaynet was installed has to be made anew`,
    );
  }
  const addresses = record.addresses.filter((one) => !one.startsWith('fe80:'));
  const parts = held.flatMap(({ bridges }) => (bridges?.cni === undefined ? [] : [parseCidr(bridges.cni)]));
  const stray = addresses.find((one) => !parts.some((part) => containsAddress(part, parseAddress(one))));
  if (stray !== undefined)
    return wrong(
      what,
      `${stray} is in no block of node ${node}`,
      `make the pod anew: kubectl delete pod -n ${namespace} ${name}`,
    );
  const rows = 'value' in kernels ? kernels.value.rows : [];
  const bad = rows.find(
    (row) =>
      row.node === node && (row.kind === 'Lease' || row.kind === 'Record') && addresses.includes(row.object),
  );
  if (bad !== undefined) return wrong(what, `${bad.object}: ${bad.message}`, 'kubectl overlay check');
  const shown = 'value' in pod ? (pod.value?.status?.podIPs ?? []).map(({ ip }) => ip) : [];
  const isFirst = record.interface === 'eth0';
  if (isFirst && shown.length > 0 && !shown.some((ip) => addresses.includes(ip)))
    return wrong(
      what,
      `Kubernetes shows ${shown.join(', ')} and the node’s record ${addresses.join(', ')}`,
      'another CNI configuration has made it: which file in /etc/cni/net.d comes first?',
    );
  return ok(what, `${addresses.join(', ')} on ${record.interface || 'its interface'}, since ${record.since}`);
}

function linkStep(kernels: Read<Kernels>, record: ContainerRow | undefined): Step {
  if (record === undefined) return unknown('link', 'no record tells its link', look);
  const { hostLink, kernel, namespace = '', pod = '', node } = record;
  const again = `make the pod anew: kubectl delete pod -n ${namespace} ${pod}`;
  if (kernel === 'Missing')
    return wrong('link', `node ${node} shows no ${hostLink} on ${cniBridge(record.network)}`, again);
  if (kernel === 'Unknown')
    return unknown(
      'link',
      `the kernel of ${node} could not be asked for ${hostLink}`,
      `ip link show ${hostLink} on ${node}`,
    );
  const concerns = ({ object }: { object: string }) => object === hostLink;
  return kernelStep(
    'link',
    kernels,
    { nodes: [node], concerns },
    `${hostLink} is on ${cniBridge(record.network)}`,
  );
}
