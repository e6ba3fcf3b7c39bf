import type { LedgerIndex, OverlayAgent } from '../api/types.ts';
import { newId } from './departures.ts';
import type { Registrations } from './register.ts';
import { remembered } from './remembered.ts';
import { knownAt } from './repair.ts';
import { vtepSpace } from './space.ts';
import { version, type View } from './view.ts';

/** Its value ends one restoration: the id that OverlayConfig's status shows. */
export const confirmRestore = 'overlaynet.dev/confirm-restore';

type Restored = NonNullable<LedgerIndex['restored']>;

export interface RestoreVerdict {
  /** For the index; the same object where nothing changes. */
  restored: Restored | undefined;
  /** It lasts: what agents hold is taken up, nothing new is given, nothing is taken back. */
  active: boolean;
  /** What the index is to say once everything that agents hold has been taken up and written. */
  ending: Restored | undefined;
  /** Nodes whose agents have not registered since, or were refused. */
  waiting: string[];
  /** Networks that agents hold blocks of and that no OverlayNetwork declares. */
  missing: string[];
}

/** Nothing came back older than it was. */
export const notRestored: RestoreVerdict = {
  restored: undefined,
  active: false,
  ending: undefined,
  waiting: [],
  missing: [],
};

/**
 * Whether the cluster's data came back older than it was (etcd from a backup, the CRDs installed anew), and whether
 * everybody has said since what they hold.
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
    return { restored, active: true, ending: undefined, ...unheard(view, undefined, accepted) };
  }
  if (began === undefined) return { ...notRestored, restored: known };
  const { waiting, missing } = unheard(view, began.id, accepted);
  const confirmed = view.config?.metadata.annotations?.[confirmRestore] === began.id;
  const lasts = !confirmed && waiting.length + missing.length > 0;
  const over = new Date(view.now).toISOString();
  const ending = lasts ? undefined : { ...began, over, upTo: String(highestVersion(view)) };
  return { restored: began, active: true, ending, waiting, missing };
}

/** An object that was written after its agent had seen a version has a higher one, unless the counter was put back. */
function wentBack({ agents }: View, known: Restored | undefined): boolean {
  const settled = Number(known?.upTo ?? 0);
  for (const agent of agents.values()) {
    if (!sawMore(agent)) continue;
    const answered = known !== undefined && agent.spec.restore === known.id;
    if (version(agent) > settled && !answered) return true;
  }
  return false;
}

/** Whether the agent had seen a higher version than the object that says so has. */
const sawMore = remembered(
  (agent: OverlayAgent) => Number(agent.spec.seenResourceVersion ?? 0) > version(agent),
);

function highestVersion(view: View): number {
  return [...view.agents.values()].reduce((most, agent) => Math.max(most, version(agent)), knownAt(view));
}

/** The CRD of OverlayNetwork was deleted and made again, and networks went with it. */
function lostNetworks({ networksKind, networks }: View, { networksCRD, spaces }: LedgerIndex): boolean {
  if (networksKind === undefined || networksKind.goes) return false;
  if (networksCRD === undefined || networksCRD === networksKind.uid) return false;
  const live = new Set(networks.map(({ metadata }) => metadata.name));
  return spaces.some(
    ({ cidr, network, retiredAt }) => cidr !== vtepSpace && retiredAt === undefined && !live.has(network),
  );
}

/** No block in any page, and no allocation, and yet nodes hold something: all of it was there once. */
function lostLedger({ ledger, allocations, agents }: View): boolean {
  return (
    ![...ledger.pages.values()].some(({ spec }) => (spec.page?.blocks.length ?? 0) > 0) &&
    ![...allocations.values()].some(({ spec }) => spec.vtep !== undefined) &&
    [...agents.values()].some(holdsSomething)
  );
}

const holdsSomething = ({ spec }: OverlayAgent): boolean =>
  spec.vtep !== undefined || (spec.networks ?? []).length > 0;

/** One whose registration is not accepted is not heard: what it says it holds is nobody's in the ledger. */
function unheard(
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
