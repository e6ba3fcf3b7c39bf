import { withCondition, type Finding } from '../api/conditions.ts';
import { bounded } from '../api/text.ts';
import type { Failure } from '../dataplane/state.ts';
import type {
  AgentAllocationSpec,
  AllocatedNetwork,
  NetworkState,
  OverlayAgentStatus,
} from '../api/types.ts';

/** `NETWORK: MESSAGE` */
export const failureText = ({ network, message }: Failure): string =>
  network === undefined ? message : `${network}: ${message}`;

/** Failures that another pass may mend. */
export const mendable = (failures: readonly Failure[]): Failure[] =>
  failures.filter(({ lasting }) => lasting !== true);

/** Failures for which something that is wanted does not work. */
export const grave = (failures: readonly Failure[]): Failure[] =>
  mendable(failures).filter(({ leftover }) => leftover !== true);

/** What the last pass over the data path worked from, and what of it failed. */
export interface Applied {
  /** This node's allocation as it was applied. */
  allocation: AgentAllocationSpec | undefined;
  /** Names of the networks in force. */
  networks: ReadonlySet<string>;
  failures: Failure[];
}

interface StatusInput {
  /** This node's allocation as it is now. */
  allocation: AgentAllocationSpec | undefined;
  applied: Applied | undefined;
  /** What stands between networks and their Docker halves: it does not hold up the rest of them. */
  docker: readonly Failure[];
  findings: Finding[];
  /** The status that is stored now. */
  stored: OverlayAgentStatus | undefined;
  /** RFC 3339. */
  now: string;
}

/** An OverlayAgent's status: per network of the allocation whether the kernel shows it, and the conditions. */
export function renderStatus({
  allocation,
  applied,
  docker,
  findings,
  stored,
  now,
}: StatusInput): OverlayAgentStatus {
  const forAll = grave(applied?.failures ?? []).some(({ network }) => network === undefined);
  const revision = forAll ? stored?.revision : applied?.allocation?.revision;
  const networks = (allocation?.networks ?? []).map((network) => networkStatus(network, applied, docker));
  return {
    ...(revision === undefined ? {} : { revision }),
    networks,
    conditions: findings.reduce(
      (conditions, finding) => withCondition(conditions, finding, now),
      // what is not looked at any more is not said either
      (stored?.conditions ?? []).filter(({ type }) => findings.some((finding) => finding.type === type)),
    ),
  };
}

export const sameStatus = (a: OverlayAgentStatus | undefined, b: OverlayAgentStatus): boolean =>
  statusText(a) === statusText(b);

/** The messages, each once, cut to what someone reads: a tool may print one line per entry, and there are thousands. */
export function brief(messages: readonly string[]): string {
  return bounded([...new Set(messages)].join('; '));
}

function networkStatus(
  network: AllocatedNetwork,
  applied: Applied | undefined,
  docker: readonly Failure[],
): { name: string; state: NetworkState; message?: string } {
  const { name } = network;
  const before = applied?.allocation?.networks?.find((other) => other.name === name);
  if (applied === undefined || before === undefined || !sameBlocks(before, network)) {
    return { name, state: 'Configuring' };
  }
  if (!applied.networks.has(name)) {
    return { name, state: 'Configuring', message: `OverlayNetwork ${name} is not in force` };
  }
  const failures = [...applied.failures, ...docker].filter(
    ({ network: of, leftover }) => leftover !== true && (of === undefined || of === name),
  );
  if (failures.length === 0) return { name, state: 'OK' };
  return { name, state: 'Failed', message: brief(failures.map(({ message }) => message)) };
}

const sameBlocks = (a: AllocatedNetwork, b: AllocatedNetwork): boolean =>
  JSON.stringify(a.subnets) === JSON.stringify(b.subnets);

/** Key order is the API server's or ours, so it must not count. */
function statusText(status: OverlayAgentStatus | undefined): string {
  return JSON.stringify([
    status?.revision,
    (status?.networks ?? []).map(({ name, state, message }) => [name, state, message]),
    (status?.conditions ?? []).map(({ type, status: is, reason, message }) => [type, is, reason, message]),
  ]);
}
