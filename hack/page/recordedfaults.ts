import type { Condition, OverlayAgent } from '../../src/api/types.ts';
import type { LastPass } from '../../src/rows/row.ts';

export const ago = (now: number, seconds: number): string => new Date(now - seconds * 1_000).toISOString();

export const condition = (
  since: string,
  type: string,
  status: Condition['status'],
  reason: string,
  message = '',
): Condition => ({ type, status, reason, message, lastTransitionTime: since });

/** Faults of some nodes, by their number. */
export function faultOf(
  at: number,
  nodes: number,
): 'failed' | 'firewall' | 'missing' | 'configuring' | 'silent' | undefined {
  if (nodes < 3) return undefined;
  if (nodes < 10) return at === 2 ? 'failed' : undefined;
  if (at % 211 === 17) return 'failed';
  if (at % 97 === 5) return 'firewall';
  if (at % 301 === 42) return 'missing';
  if (at % 151 === 8) return 'configuring';
  if (at % 449 === 30) return 'silent';
  return undefined;
}

export function conditionsOf(fault: ReturnType<typeof faultOf>, since: string): Condition[] {
  const registered = condition(since, 'Registered', 'True', 'Accepted');
  const system = condition(since, 'SystemReady', 'True', 'Ready');
  const path =
    fault === 'failed'
      ? condition(
          since,
          'DataPathReady',
          'False',
          'Failed',
          'dcos: ip link add vtep1024 type vxlan: RTNETLINK answers: Operation not supported',
        )
      : condition(since, 'DataPathReady', 'True', 'Ready');
  return [
    registered,
    path,
    fault === 'firewall'
      ? condition(
          since,
          'SystemReady',
          'False',
          'Firewall',
          'iptables FORWARD drops what the tunnel brings: rule "-A FORWARD -j DROP". Add a rule before it that accepts -i vtep1024',
        )
      : system,
  ];
}

/** The last pass of an agent, as its conditions tell. */
export function recordedPass(agent: OverlayAgent | undefined): LastPass | undefined {
  if (agent === undefined) return undefined;
  const failed = agent.status?.conditions?.find(
    ({ type, status }) => type === 'DataPathReady' && status === 'False',
  );
  return { endedAt: ago(Date.now(), 12), problem: failed?.message ?? '' };
}
