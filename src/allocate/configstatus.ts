import { withCondition, withRaised, type Finding } from '../api/conditions.ts';
import type { LedgerIndex, OverlayConfigStatus } from '../api/types.ts';
import { alarms } from './alarms.ts';
import { spaceCapacity } from './capacity.ts';
import type { Facts } from './facts.ts';
import { overhead } from './mtu.ts';
import type { Plan } from './plan.ts';
import { progress } from './progress.ts';
import { mostListed, quarantinedBlocks } from './quarantine.ts';
import { capacity, vtepSpace } from './space.ts';
import { verdict, waits } from './verdict.ts';
import type { Refusal, View } from './view.ts';

export function configStatus({ view, plan, index, now }: Facts): OverlayConfigStatus {
  const { config } = view;
  const generation = config?.metadata.generation;
  const accepted: Finding = verdict('Accepted', plan.refusedConfig, 'Accepted', 'every value is in force');
  const full = plan.exhausted.find(({ space }) => space.cidr === vtepSpace);
  const room = full === undefined ? undefined : capacity(full.space, index.config);
  const exhausted: Refusal | undefined =
    full === undefined
      ? undefined
      : {
          reason: 'Exhausted',
          message: `spec.vtepSubnets: ${index.config?.vtepSubnets.join(', ') ?? ''} has ${room ?? 0} VTEPs, 0 free; ${waits(full.nodes)}`,
        };
  const ready =
    index.config === undefined || plan.mtu === undefined
      ? verdict('Ready', exhausted, 'NoAgents', 'no agent has registered')
      : verdict(
          'Ready',
          exhausted,
          'InForce',
          `every registered node has a VTEP; ${mtuWords(plan, view, index)}`,
        );
  let conditions = withCondition(config?.status?.conditions, accepted, now, generation);
  conditions = withCondition(conditions, ready, now, generation);
  const quarantined = quarantinedBlocks(view, index);
  const resting = full === undefined ? [] : [spaceCapacity(view.ledger, full.space, index)];
  const raised = [...progress(accepted, ready, resting), ...alarms(plan, index, quarantined)];
  conditions = withRaised(conditions, raised, now, generation);
  const { restored } = plan.restore;
  const { departures } = plan.departures;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(restored === undefined || restored.over !== undefined
      ? {}
      : { restored: { id: restored.id, since: restored.since } }),
    ...(departures === undefined ? {} : { departures }),
    ...(quarantined.length === 0 ? {} : { quarantined: quarantined.slice(0, mostListed) }),
    ...(plan.registrations.accepted.size === 0
      ? {}
      : { nodes: firstTwoDigits(plan.registrations.accepted.size) }),
    ...(index.config === undefined || plan.mtu === undefined
      ? {}
      : {
          effective: {
            ...index.config,
            mtu: plan.mtu,
            defaultNetwork: config?.spec.defaultNetwork ?? '',
          },
        }),
    conditions,
  };
}

/**
 * Keeps the first two digits: 1299 becomes 1200. Every change of the status is sent to every agent, so it must not
 * change with every node.
 */
function firstTwoDigits(count: number): number {
  const unit = 10 ** Math.max(0, String(count).length - 2);
  return Math.floor(count / unit) * unit;
}

/** Explains where the MTU comes from, and what the smallest uplink would allow. */
function mtuWords({ mtu = 0, registrations }: Plan, { config }: View, index: LedgerIndex): string {
  const [node, uplink] = [...registrations.accepted].reduce<[string, number]>(
    (found, [name, { uplinkMTU = Infinity }]) => (uplinkMTU < found[1] ? [name, uplinkMTU] : found),
    ['', Infinity],
  );
  const most = uplink - overhead(index.config?.underlay ?? 'IPv4');
  if (config?.spec.mtu === mtu) {
    const split = most < mtu ? `; the uplink of ${node}, ${uplink}, splits what is longer than ${most}` : '';
    return `the MTU of ${mtu} is spec.mtu${split}`;
  }
  if (node === '') return `the MTU is ${mtu}`;
  return most > mtu
    ? `the MTU of ${mtu} stays as it was; the smallest uplink, ${uplink} of ${node}, has room for spec.mtu: ${most}`
    : `the MTU of ${mtu} follows the uplink of ${node}, ${uplink}`;
}
