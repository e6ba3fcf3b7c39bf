import type { Finding } from '../api/conditions.ts';
import type { AgentNetwork, LedgerIndex, OverlayAgent } from '../api/types.ts';
import type { Plan } from './plan.ts';
import { remembered } from './remembered.ts';
import { Holdings } from './render.ts';
import { repairedIndex } from './repair.ts';
import { vtepSpace } from './space.ts';
import type { NodeFacts, View } from './view.ts';

/** The facts that all statuses are made of. They are computed once for all. */
export interface Facts {
  view: View;
  plan: Plan;
  index: LedgerIndex;
  holdings: Holdings;
  /** Accepted nodes, with their agents' statements about each network. */
  reports: readonly { node: NodeFacts; networks: ReadonlyMap<string, AgentNetwork> }[];
  /** Nodes that get no VTEP, because none is free. */
  withoutVTEP: ReadonlySet<string>;
  /** How many pods a node takes; undefined if that is not known. */
  pods: (node: NodeFacts) => number | undefined;
  /** By the name of a network that is being deleted: the condition that names what the deletion waits for. */
  deletions: ReadonlyMap<string, Finding>;
  now: string;
}

/** @param more.holdings those of the last pass, if any: unchanged pages are not read again */
export function gather(
  view: View,
  plan: Plan,
  {
    holdings = new Holdings(),
    pods = () => undefined,
    deletions = new Map<string, Finding>(),
  }: { holdings?: Holdings } & Partial<Pick<Facts, 'pods' | 'deletions'>> = {},
): Facts {
  const index = repairedIndex(view);
  const full = plan.exhausted.find(({ space }) => space.cidr === vtepSpace);
  holdings.read(view.ledger, index);
  return {
    view,
    plan,
    index,
    holdings,
    reports: [...plan.registrations.accepted.keys()].flatMap((name) => {
      const [node, agent] = [view.nodes.get(name), view.agents.get(name)];
      return node === undefined ? [] : [{ node, networks: agent === undefined ? silent : networksOf(agent) }];
    }),
    withoutVTEP: new Set(full?.nodes),
    pods,
    deletions,
    now: new Date(view.now).toISOString(),
  };
}

/** The agent's statements about networks, by the network's name. */
const networksOf = remembered(
  ({ status }: OverlayAgent): ReadonlyMap<string, AgentNetwork> =>
    new Map((status?.networks ?? []).map((network) => [network.name, network])),
);
const silent: ReadonlyMap<string, AgentNetwork> = new Map();
