import type { LedgerIndex, OverlayAgent } from '../api/types.ts';
import { newId } from './departures.ts';
import { version, type View } from './view.ts';

/** Its value ends one restoration: the id that OverlayConfig's status shows. */
export const confirmRestore = 'overlaynet.dev/confirm-restore';

type Restored = NonNullable<LedgerIndex['restored']>;

export interface RestoreVerdict {
  /** For the index; the same object where nothing changes. */
  restored: Restored | undefined;
  /** It lasts: what agents hold is taken up, nothing new is given, nothing is taken back. */
  active: boolean;
  /** Nodes whose agents have not registered since. */
  waiting: string[];
  /** Networks that agents hold blocks of and that no OverlayNetwork declares. */
  missing: string[];
}

/**
 * Whether the cluster's data came back older than it was (etcd from a backup, the CRDs installed anew), and whether
 * everybody has said since what they hold.
 */
export function judgeRestore(view: View, index: LedgerIndex): RestoreVerdict {
  const known = index.restored;
  const began = known !== undefined && known.over === undefined ? known : undefined;
  const again = view.wentBackAt !== undefined && !(Date.parse(known?.since ?? '') >= view.wentBackAt);
  if (again || (began === undefined && (wentBack(view, known) || lostLedger(view)))) {
    const since = new Date(view.now).toISOString();
    return { restored: { id: newId(view.now), since }, active: true, ...unheard(view, undefined) };
  }
  if (began === undefined) return { restored: known, active: false, waiting: [], missing: [] };
  const { waiting, missing } = unheard(view, began.id);
  const confirmed = view.config?.metadata.annotations?.[confirmRestore] === began.id;
  if (!confirmed && waiting.length + missing.length > 0)
    return { restored: began, active: true, waiting, missing };
  const over = new Date(view.now).toISOString();
  const upTo = String(highestVersion(view));
  return { restored: { ...began, over, upTo }, active: false, waiting: [], missing: [] };
}

/** An object that was written after its agent had seen a version has a higher one, unless the counter was put back. */
function wentBack({ agents }: View, known: Restored | undefined): boolean {
  const settled = Number(known?.upTo ?? 0);
  for (const agent of agents.values()) {
    const { seenResourceVersion, restore } = agent.spec;
    const at = version(agent);
    const answered = known !== undefined && restore === known.id;
    if (at > settled && Number(seenResourceVersion ?? 0) > at && !answered) return true;
  }
  return false;
}

function highestVersion({ ledger, allocationsAt, agents }: View): number {
  const seen = Math.max(ledger.readAt, allocationsAt, version(ledger.spaces));
  return [...agents.values()].reduce((most, agent) => Math.max(most, version(agent)), seen);
}

/** No index, no page and no allocation, and yet nodes hold something: all of it was there once. */
function lostLedger({ ledger, allocations, agents }: View): boolean {
  return (
    ledger.spaces === undefined &&
    ledger.pages.size === 0 &&
    ![...allocations.values()].some(({ spec }) => spec.vtep !== undefined) &&
    [...agents.values()].some(holdsSomething)
  );
}

const holdsSomething = ({ spec }: OverlayAgent): boolean =>
  spec.vtep !== undefined || (spec.networks ?? []).length > 0;

function unheard(view: View, id: string | undefined): Pick<RestoreVerdict, 'waiting' | 'missing'> {
  const live = new Set(view.networks.map(({ metadata }) => metadata.name));
  const missing = new Set<string>();
  const waiting: string[] = [];
  for (const name of view.nodes.keys()) {
    const spec = view.agents.get(name)?.spec;
    if (id === undefined || spec?.restore !== id) waiting.push(name);
    for (const network of spec?.networks ?? []) if (!live.has(network.name)) missing.add(network.name);
  }
  return { waiting: waiting.sort(), missing: [...missing].sort() };
}
