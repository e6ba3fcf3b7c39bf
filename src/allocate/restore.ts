import { confirmRestore } from '../api/labels.ts';
import type { LedgerIndex, OverlayAgent } from '../api/types.ts';
import { newId } from './departures.ts';
import type { Registrations } from './register.ts';
import { remembered } from './remembered.ts';
import { knownAt } from './repair.ts';
import { vtepSpace } from './space.ts';
import { version, type View } from './view.ts';

type Restored = NonNullable<LedgerIndex['restored']>;

export interface RestoreVerdict {
  /** For the index. The same object as before if nothing changes. */
  restored: Restored | undefined;
  /**
   * Whether the restore is still under way: the ledger takes over what agents hold, gives out nothing new and takes
   * nothing back.
   */
  active: boolean;
  /** What the index will say once everything that agents hold is in the ledger and in the AgentAllocations. */
  ending: Restored | undefined;
  /** Nodes whose agents have not registered since then, or were refused. */
  waiting: string[];
  /** Networks of which agents hold blocks although no OverlayNetwork of that name exists. */
  missing: string[];
}

/** The verdict when the data did not go back to an older state. */
export const notRestored: RestoreVerdict = {
  restored: undefined,
  active: false,
  ending: undefined,
  waiting: [],
  missing: [],
};

/**
 * Judges whether the cluster's data went back to an older state (etcd from a backup, or newly installed CRDs), and
 * whether all agents have reported since then what they hold.
 */
export function judgeRestore(
  view: View,
  index: LedgerIndex,
  { accepted }: Pick<Registrations, 'accepted'>,
): RestoreVerdict {
  const known = index.restored;
  const began = known !== undefined && known.over === undefined ? known : undefined;
  const again = view.wentBackAt !== undefined && !(Date.parse(known?.since ?? '') >= view.wentBackAt);
  if (
    again ||
    (began === undefined &&
      (wentBack(view, known) || lostNetworks(view, index) || (known === undefined && lostLedger(view))))
  ) {
    const since = new Date(view.now).toISOString();
    const restored = { id: newId(view.now), since };
    return { restored, active: true, ending: undefined, ...awaited(view, undefined, accepted) };
  }
  if (began === undefined) return { ...notRestored, restored: known };
  const { waiting, missing } = awaited(view, began.id, accepted);
  const confirmed = view.config?.metadata.annotations?.[confirmRestore] === began.id;
  const lasts = !confirmed && waiting.length + missing.length > 0;
  const over = new Date(view.now).toISOString();
  const ending = lasts ? undefined : { ...began, over, upTo: String(highestVersion(view)) };
  return { restored: began, active: true, ending, waiting, missing };
}

/**
 * Whether the API server's counter was put back: an agent has seen a higher version than its own, later written object
 * has.
 */
function wentBack({ agents }: View, known: Restored | undefined): boolean {
  const settled = Number(known?.upTo ?? 0);
  for (const agent of agents.values()) {
    if (!sawMore(agent)) continue;
    const answered = known !== undefined && agent.spec.restore === known.id;
    if (version(agent) > settled && !answered) return true;
  }
  return false;
}

/** Whether the agent reports a higher version than that of its own object. */
const sawMore = remembered(
  (agent: OverlayAgent) => Number(agent.spec.seenResourceVersion ?? 0) > version(agent),
);

function highestVersion(view: View): number {
  return [...view.agents.values()].reduce((most, agent) => Math.max(most, version(agent)), knownAt(view));
}

/** Whether the CRD of OverlayNetwork was deleted and created again, and networks were lost with it. */
function lostNetworks({ networksKind, networks }: View, { networksCRD, spaces }: LedgerIndex): boolean {
  if (networksKind === undefined || networksKind.goes) return false;
  if (networksCRD === undefined || networksCRD === networksKind.uid) return false;
  const live = new Set(networks.map(({ metadata }) => metadata.name));
  return spaces.some(
    ({ cidr, network, retiredAt }) => cidr !== vtepSpace && retiredAt === undefined && !live.has(network),
  );
}

/** Whether the whole ledger was lost: no page has a block and there is no allocation, but agents hold blocks. */
function lostLedger({ ledger, allocations, agents }: View): boolean {
  return (
    ![...ledger.pages.values()].some(({ spec }) => (spec.page?.blocks.length ?? 0) > 0) &&
    ![...allocations.values()].some(({ spec }) => spec.vtep !== undefined) &&
    [...agents.values()].some(holdsSomething)
  );
}

const holdsSomething = ({ spec }: OverlayAgent): boolean =>
  spec.vtep !== undefined || (spec.networks ?? []).length > 0;

/**
 * Nodes whose agents have not reported since then. A refused registration does not count: the ledger takes over
 * nothing from it.
 */
function awaited(
  view: View,
  id: string | undefined,
  accepted: ReadonlyMap<string, unknown>,
): Pick<RestoreVerdict, 'waiting' | 'missing'> {
  const live = new Set(view.networks.map(({ metadata }) => metadata.name));
  const missing = new Set<string>();
  const waiting: string[] = [];
  for (const name of view.nodes.keys()) {
    const agent = view.agents.get(name);
    const spec = agent?.spec;
    const refused = agent !== undefined && holdsSomething(agent) && !accepted.has(name);
    if (id === undefined || spec?.restore !== id || refused) waiting.push(name);
    for (const network of spec?.networks ?? []) if (!live.has(network.name)) missing.add(network.name);
  }
  return { waiting: waiting.sort(), missing: [...missing].sort() };
}
