import { confirmDepartures, confirmRestore } from '../api/labels.ts';
import type { Finding } from '../api/conditions.ts';
import type { LedgerIndex, QuarantinedBlock } from '../api/types.ts';
import type { Plan } from './plan.ts';

/** The most names in a sentence; for more, the sentence gives the total. */
const mostNames = 5;

/** A list of names: `node3, node4`. Of many it has the first few: `node3, node4, … (17 in all)`. */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, mostNames).join(', ');
  return names.length > mostNames ? `${shown}, … (${names.length} in all)` : shown;
}

const command = (annotation: string, id: string) =>
  `kubectl annotate --overwrite overlayconfig default ${annotation}=${id}`;

/** The conditions of OverlayConfig besides `Accepted` and `Ready`: alarms that stop a part of the allocation. */
export function alarms(plan: Plan, index: LedgerIndex, quarantined: readonly QuarantinedBlock[]): Finding[] {
  return [restored(plan, index), degraded(plan), heldTwice(quarantined)];
}

function restored({ restore }: Plan, index: LedgerIndex): Finding {
  const type = 'Restored';
  const { active, waiting, missing } = restore;
  if (!active || restore.restored === undefined) {
    const since = index.restored?.since;
    const message =
      since === undefined ? 'nothing was restored' : `the restoration noticed at ${since} is over`;
    return { type, status: 'False', reason: 'NotRestored', message };
  }
  const first =
    'the cluster’s data is older than what agents have seen, or the ledger was lost, or networks went with their CRD: nothing new is given out, and nothing is taken back';
  const until = [
    ...(waiting.length > 0 ? [`these nodes have registered again: ${named(waiting)}`] : []),
    ...(missing.length > 0
      ? [`these networks, which agents hold, are applied again: ${named(missing)}`]
      : []),
  ];
  const reason = waiting.length > 0 ? 'WaitingForNodes' : 'NetworksMissing';
  const or = command(confirmRestore, restore.restored.id);
  return { type, status: 'True', reason, message: `${first}, until ${until.join(' and ')}; or: ${or}` };
}

function degraded({ departures }: Plan): Finding {
  const type = 'Degraded';
  const { absent, counts, disbelieved } = departures;
  if (!disbelieved || departures.departures === undefined) {
    return {
      type,
      status: 'False',
      reason: 'NoMassDeparture',
      message: 'not more than half of the nodes are gone at once',
    };
  }
  return {
    type,
    status: 'True',
    reason: 'MassDeparture',
    message:
      `${counts.gone} of ${counts.of} nodes are gone at once: ${named([...absent].sort())}; nothing of theirs is released until ` +
      `they return, or: ${command(confirmDepartures, departures.departures.id)}`,
  };
}

function heldTwice(quarantined: readonly QuarantinedBlock[]): Finding {
  const type = 'Quarantined';
  if (quarantined.length === 0)
    return { type, status: 'False', reason: 'NoneHeldTwice', message: 'no block is held by two nodes' };
  const each = quarantined.map(
    ({ network, cidr, nodes }) =>
      `${network === '' ? 'the VTEP' : 'block'} ${cidr}${network === '' ? '' : ` of network ${network}`} by ${nodes.join(' and ')}`,
  );
  return {
    type,
    status: 'True',
    reason: 'HeldTwice',
    message: `held by two nodes: ${named(each)}; both keep what they have; drain the one named last and delete its Node`,
  };
}
