import { withCondition, type Finding } from '../api/conditions.ts';
import { bounded } from '../api/text.ts';
import type { Failure } from '../dataplane/state.ts';
import type {
  AgentAllocationSpec,
  AgentNetwork,
  AllocatedNetwork,
  DrainingBlock,
  NetworkUser,
  NetworkUsers,
  OverlayAgentStatus,
} from '../api/types.ts';
import type { NodeUsage } from '../api/usage.ts';

/** `NETWORK: MESSAGE` */
export const failureText = ({ network, message }: Failure): string =>
  network === undefined ? message : `${network}: ${message}`;

/** Failures that another pass may repair. */
export const mendable = (failures: readonly Failure[]): Failure[] =>
  failures.filter(({ lasting }) => lasting !== true);

/** Failures because of which something that is wanted does not work. */
export const grave = (failures: readonly Failure[]): Failure[] =>
  mendable(failures).filter(({ leftover }) => leftover !== true);

/** What the last pass over the data path was based on, and what failed in it. */
export interface Applied {
  /** This node's allocation as it was applied. */
  allocation: AgentAllocationSpec | undefined;
  /** Names of the networks in force. */
  networks: ReadonlySet<string>;
  failures: Failure[];
}

/** Use of the networks. If a part is undefined, the stored status keeps its own. */
export interface NetworkUse {
  usage: NodeUsage | undefined;
  /** Names of the networks that containers use. */
  inUse: ReadonlySet<string> | undefined;
  users: ReadonlyMap<string, NetworkUsers>;
  /** Only answers of this process: an earlier agent may have answered containers differently. */
  draining: ReadonlyMap<string, readonly DrainingBlock[]>;
}

interface StatusInput {
  /** This node's allocation as it is now. */
  allocation: AgentAllocationSpec | undefined;
  applied: Applied | undefined;
  /** Reasons why networks differ from their Docker halves. They do not hold up the rest of these networks. */
  docker: readonly Failure[];
  findings: Finding[];
  use: NetworkUse;
  /** SHA-256 of the certificate that the agent serves, in hexadecimal. */
  certificate?: string | undefined;
  /** The status that is stored now. */
  stored: OverlayAgentStatus | undefined;
  /** RFC 3339. */
  now: string;
}

/** An OverlayAgent's status: the conditions, and for each network of the allocation whether the kernel shows it. */
export function renderStatus({
  allocation,
  applied,
  docker,
  findings,
  use,
  certificate,
  stored,
  now,
}: StatusInput): OverlayAgentStatus {
  const forAll = grave(applied?.failures ?? []).some(({ network }) => network === undefined);
  const revision = forAll ? stored?.revision : applied?.allocation?.revision;
  const networks = (allocation?.networks ?? []).map((network) => ({
    ...networkStatus(network, applied, docker),
    ...useOf(network.name, use, stored),
  }));
  return {
    ...(revision === undefined ? {} : { revision }),
    ...(certificate === undefined ? {} : { certificate }),
    networks,
    conditions: findings.reduce(
      (conditions, finding) => withCondition(conditions, finding, now),
      // a condition is not reported if it is no longer examined
      (stored?.conditions ?? []).filter(({ type }) => findings.some((finding) => finding.type === type)),
    ),
  };
}

function useOf(
  name: string,
  { usage, inUse, users, draining }: NetworkUse,
  stored: OverlayAgentStatus | undefined,
): Pick<AgentNetwork, 'usage' | 'inUse' | 'users' | 'draining'> {
  const before = stored?.networks?.find((one) => one.name === name);
  const full = usage?.get(name) ?? before?.usage ?? [];
  const isUsed = inUse?.has(name) ?? before?.inUse === true;
  const drains = draining.get(name) ?? [];
  const answer = users.get(name) ?? (inUse === undefined ? before?.users : undefined);
  return {
    ...(full.length === 0 ? {} : { usage: [...full] }),
    ...(isUsed ? { inUse: true } : {}),
    ...(answer === undefined ? {} : { users: answer }),
    ...(drains.length === 0 ? {} : { draining: [...drains] }),
  };
}

export const sameStatus = (a: OverlayAgentStatus | undefined, b: OverlayAgentStatus): boolean =>
  statusText(a) === statusText(b);

/**
 * The messages without repetitions, cut to a readable length: a tool may print one line per entry, for thousands of
 * entries.
 */
export function brief(messages: readonly string[]): string {
  return bounded([...new Set(messages)].join('; '));
}

function networkStatus(
  network: AllocatedNetwork,
  applied: Applied | undefined,
  docker: readonly Failure[],
): Pick<AgentNetwork, 'name' | 'state' | 'message'> {
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

/** Makes a text to compare, independent of key order, which may be the API server's or ours. */
function statusText(status: OverlayAgentStatus | undefined): string {
  return JSON.stringify([
    status?.revision,
    status?.certificate,
    (status?.networks ?? []).map(
      ({ name, state, message, usage = [], inUse = false, users, draining = [] }) => [
        name,
        state,
        message,
        inUse,
        users && [users.deletion, users.at, users.count, users.named?.map(userText)],
        draining.map((one) => [
          one.cidr,
          one.networkUID,
          one.generation,
          one.count,
          one.named?.map(userText),
        ]),
        usage.map(({ cidr, containerizer, addresses, used }) => [cidr, containerizer, addresses, used]),
      ],
    ),
    (status?.conditions ?? []).map(({ type, status: is, reason, message }) => [type, is, reason, message]),
  ]);
}

const userText = ({ pod, container, address }: NetworkUser) => [pod, container, address];
