import { confirmDepartures, confirmRestore } from '../api/labels.ts';
import type { Finding } from '../api/conditions.ts';
import { counted, listed } from '../api/text.ts';
import type { OverlayConfig } from '../api/types.ts';
import { overdue, type Belief, type Kept } from './belief.ts';
import { believedAt } from './departures.ts';
import { endOf } from './doubt.ts';

/** The most names in a message. */
const mostNames = 5;

/**
 * The condition `Holding`: what stays in the data path although no object shows it, why, until when, and what ends
 * it. Undefined if nothing stays. A departure that will be followed soon is not reported.
 */
export function holdingOf(
  belief: Belief,
  kept: Kept,
  config: OverlayConfig | undefined,
  now: number,
): Finding | undefined {
  const texts = [
    doubted(belief, kept, config),
    departed(belief, config),
    ...(belief.doubt === undefined ? [quarantined(kept), absent(overdue(belief, now))] : []),
  ].filter((one) => one !== undefined);
  const [first] = texts;
  if (first === undefined) return undefined;
  const message = texts.map((one) => one.message).join('; ');
  return { type: 'Holding', status: 'True', reason: first.reason, message };
}

interface Reason {
  reason: string;
  message: string;
}

function doubted(belief: Belief, kept: Kept, config: OverlayConfig | undefined): Reason | undefined {
  const { doubt } = belief;
  if (doubt === undefined) return undefined;
  const why = {
    Restored: "the cluster's data came back older than it was",
    WentBack:
      "the API server's data is older than what was seen before, and the operator has not answered yet",
    ConfigReplaced: 'OverlayConfig default is a new object, as after its CRD was deleted and installed again',
  }[doubt.reason];
  const end = endOf(doubt);
  const id = config?.status?.restored?.id ?? doubt.id;
  const until =
    id === undefined || doubt.endedAt !== undefined
      ? `until ${timeOf(end)}`
      : `until every Node's agent has registered again, and every network that they hold is applied again; or: ${annotate(confirmRestore, id)}`;
  const parts = [
    some(kept.peers, 'peer'),
    some(kept.networks, 'network'),
    some(kept.blocks, 'block of this node', 'blocks of this node'),
  ].filter((text) => text !== undefined);
  const what = parts.length === 0 ? '' : ` (${parts.join('; ')})`;
  return { reason: doubt.reason, message: `${why}: nothing is withdrawn${what} ${until}` };
}

function departed({ lostPeers, snapshot }: Belief, config: OverlayConfig | undefined): Reason | undefined {
  const mass = lostPeers.filter((one) => one.mass);
  if (mass.length === 0) return undefined;
  const id = config?.status?.departures?.id;
  const all = snapshot.allocations.filter(({ node }) => node !== snapshot.node).length;
  const confirm =
    id === undefined
      ? 'the operator shows no status.departures to confirm'
      : `if they are gone for good: ${annotate(confirmDepartures, id)}`;
  const names = listed(mass.map(({ node }) => node).sort(), mostNames);
  const until = timeOf(believedAt(mass));
  return {
    reason: 'MassDeparture',
    message: `${mass.length} of ${all} peers went at once and stay until ${until} (${names}); ${confirm}`,
  };
}

const quarantined = ({ blocks }: Kept): Reason | undefined =>
  blocks.length === 0
    ? undefined
    : {
        reason: 'Quarantined',
        message: `another node holds what this node has, too, and its containers keep it (${listed(blocks, mostNames)}): see status.quarantined of OverlayConfig default`,
      };

const absent = (networks: readonly string[]): Reason | undefined =>
  networks.length === 0
    ? undefined
    : {
        reason: 'NetworkGone',
        message: `OverlayNetworks are gone and stay in force until the operator has withdrawn them (${listed(networks, mostNames)})`,
      };

const some = (names: readonly string[], one: string, many?: string): string | undefined =>
  names.length === 0 ? undefined : `${counted(names.length, one, many)}: ${listed(names, mostNames)}`;

const annotate = (annotation: string, id: string): string =>
  `kubectl annotate overlayconfig default --overwrite ${annotation}=${id}`;

const timeOf = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
