/** For each reason: what of the node it concerns, and what shows it. */
export const looked = {
  SwitchedOff: { object: 'sysctls', command: 'sysctl -a' },
  NeighbourLimitLow: { object: 'sysctls', command: 'sysctl -a' },
  ConnectionsFull: { object: 'conntrack table', command: 'sysctl net.netfilter.nf_conntrack_count' },
  Overlap: { object: 'subnets and routes of the node', command: 'ip route show table all' },
  RangesUnread: { object: 'subnets and routes of the node', command: 'ip route show table all' },
  FirewallRefuses: { object: 'nftables', command: 'nft list ruleset' },
  Masquerades: { object: 'nftables', command: 'nft list ruleset' },
  FirewallUnread: { object: 'nftables', command: 'nft list ruleset' },
  KernelTooOld: { object: 'kernel', command: 'uname -r' },
  IPVS: { object: 'kube-ipvs0', command: 'ip link show' },
} as const;

export type ProblemReason = keyof typeof looked;

/** A problem of the node itself: a reason for the condition, and a sentence with the remedy. */
export interface Problem {
  reason: ProblemReason;
  message: string;
}
