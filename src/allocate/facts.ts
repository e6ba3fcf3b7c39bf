import type { Finding } from '../api/conditions.ts';
import type { AgentNetwork, LedgerIndex, OverlayAgent } from '../api/types.ts';
import type { Plan } from './plan.ts';
import { remembered } from './remembered.ts';
import { Holdings } from './render.ts';
import { repairedIndex } from './repair.ts';
import { vtepSpace } from './space.ts';
import type { NodeFacts, View } from './view.ts';

/** What every status is made of, worked out once a pass. */
export interface Facts {
  view: View;
  plan: Plan;
  index: LedgerIndex;
  holdings: Holdings;
  /** Accepted nodes, and what their agents say of each network. */
  said: readonly { node: NodeFacts; networks: ReadonlyMap<string, AgentNetwork> }[];
  /** Nodes that wait for a VTEP, and find none. */
  withoutVTEP: ReadonlySet<string>;
  /** How many pods a node takes, where that is known. */
  pods: (node: NodeFacts) => number | undefined;
  /** By network that somebody deletes: what that waits for. */
  deletions: ReadonlyMap<string, Finding>;
  now: string;
}

/** @param more.holdings of the last pass, if any: what no page changed is not read again */
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
    said: [...plan.registrations.accepted.keys()].flatMap((name) => {
      const [node, agent] = [view.nodes.get(name), view.agents.get(name)];
      return node === undefined ? [] : [{ node, networks: agent === undefined ? silent : networksOf(agent) }];
    }),
    withoutVTEP: new Set(full?.nodes),
    pods,
    deletions,
    now: new Date(view.now).toISOString(),
  };
}

/** What the agent says of each network, by name. */
const networksOf = remembered(
  ({ status }: OverlayAgent): ReadonlyMap<string, AgentNetwork> =>
    new Map((status?.networks ?? []).map((network) => [network.name, network])),
);
const silent: ReadonlyMap<string, AgentNetwork> = new Map();
