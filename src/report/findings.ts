import type { Finding } from '../api/conditions.ts';
import type { AgentAllocation } from '../api/types.ts';
import type { Blocks } from '../dataplane/snapshot.ts';
import type { Problem } from '../host/problem.ts';
import { brief, failureText, grave, type Applied } from './status.ts';

/** The facts that an agent's conditions follow from. */
export interface Health {
  allocation: AgentAllocation | undefined;
  /** Why the last attempt to register failed. */
  registrationFailure: string | undefined;
  /** Kinds that could not be listed yet, with the API server's words. */
  unlisted: string[];
  applied: Applied | undefined;
  /** What the caches lack, so that the data path stays as it was. */
  missing: string | undefined;
  checkpoint: { problem: string | undefined; movedAside: string | undefined };
  containers: ContainerHealth;
  /** Node settings that differ from what the data path needs. */
  system: Problem[];
  /** About the Docker engine, if one is used, or was used and may still have networks. */
  docker: Finding | undefined;
  /** What stays in the data path although objects do not show it. */
  holding: Finding | undefined;
  /** The finding of probes of other nodes; undefined while there are none. */
  probed: Finding | undefined;
}

/** The state of the node for containers after a pass. */
export interface PassContainers {
  /** Reasons why runtimes cannot use the node. */
  failures: string[];
  /** Containers that keep leases of networks that are gone. */
  held: string[];
  /** A conflist of another program that runtimes take before ours. */
  first: string | undefined;
  /** Records of containers that could not be read. */
  unread: string[];
}

/** State that containers depend on besides the data path; `failures` includes those of socket and sweep. */
export interface ContainerHealth extends PassContainers {
  /** The data path has been complete at least once. */
  complete: boolean;
  /** Types of other programs' plugins that are chained behind ours. */
  chained: readonly string[];
  /** The reason why namespaces cannot be listed. */
  namespaces: string | undefined;
}

/**
 * The conditions `Registered`, `Synced`, `DataPathReady`, `Checkpoint`, `ContainersReady` and `SystemReady`; `Docker` if
 * there is something to report about an engine; `Holding` while something stays that objects do not show;
 * `DataPathProbed` once other nodes were probed.
 */
export const findingsOf = (health: Health): Finding[] => [
  { type: 'Registered', ...registered(health) },
  { type: 'Synced', ...synced(health) },
  { type: 'DataPathReady', ...dataPathReady(health) },
  { type: 'Checkpoint', ...checkpointed(health) },
  { type: 'ContainersReady', ...containersReady(health) },
  { type: 'SystemReady', ...systemReady(health) },
  ...[health.docker, health.holding, health.probed].filter((finding) => finding !== undefined),
];

type Verdict = Omit<Finding, 'type'>;

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });

function registered({ allocation, registrationFailure }: Health): Verdict {
  if (registrationFailure !== undefined) return no('RegistrationFailed', registrationFailure);
  if (allocation === undefined) return no('Waiting', 'the operator has made no AgentAllocation yet');
  const refusal = refusalOf(allocation);
  return refusal === undefined
    ? yes('Accepted', 'the operator took the registration')
    : no(refusal.reason, refusal.message);
}

/** The operator's condition if it refuses the registration. */
export const refusalOf = (allocation: AgentAllocation | undefined) =>
  allocation?.status?.conditions?.find(({ type, status }) => type === 'Accepted' && status === 'False');

const synced = ({ unlisted }: Health): Verdict =>
  unlisted.length === 0
    ? yes('Listed', 'all kinds were listed')
    : no('NotListed', `the data path stays as it was: ${unlisted.join('; ')}`);

function dataPathReady({ applied, missing }: Health): Verdict {
  if (applied === undefined) return no('Waiting', missing ?? 'not made yet');
  const failures = grave(applied.failures);
  if (failures.length > 0) return no('Failed', brief(failures.map(({ message }) => message)));
  if (applied.failures.length > 0) {
    const [reason, words] = applied.failures.some(({ lasting }) => lasting === true)
      ? ['Partial', 'the kernel shows what this node can carry']
      : ['LeftOver', 'the kernel shows the allocation, and something besides that could not be removed'];
    return yes(reason, `${words}; ${brief(applied.failures.map(failureText))}`);
  }
  return missing === undefined
    ? yes('Applied', 'the kernel shows the allocation')
    : yes('Kept', `${missing}: the data path stays as it was`);
}

function checkpointed({ checkpoint: { problem, movedAside } }: Health): Verdict {
  if (problem !== undefined) return no('Failed', problem);
  return movedAside === undefined ? yes('Written', 'on disk') : yes('MovedAside', movedAside);
}

function containersReady({ containers }: Health): Verdict {
  const { complete, failures, namespaces, held, first, unread, chained } = containers;
  if (!complete) return no('Waiting', 'the data path was not complete yet');
  if (failures.length > 0) return no('Failed', brief(failures));
  if (namespaces !== undefined) {
    return no('NamespacesUnknown', `pods without an annotation of their own have to wait: ${namespaces}`);
  }
  if (first !== undefined) {
    return no(
      'NotFirst',
      `pods do not join: their runtime takes ${first} before overlaynet's conflist; remove it, unless it is of a ` +
        'meta-plugin that hands pods on to overlaynet',
    );
  }
  if (unread.length > 0) {
    return yes(
      'RecordsUnread',
      `containers can join; what these records allowed stays allowed: ${brief(unread)}`,
    );
  }
  if (held.length > 0) return yes('LeasesHeld', `containers can join; ${brief(held)}`);
  if (chained.length === 0) return yes('Ready', 'containers can join');
  const others = brief(chained);
  return yes(
    'Chained',
    `containers can join; after overlaynet's plugins their runtime runs those of others: ${others}`,
  );
}

/**
 * The finding of an agent without a Docker socket that replaced an agent with one.
 * @param blocks Docker's blocks at that time
 */
export function leftWithoutSocket(blocks: Blocks = []): Finding | undefined {
  if (blocks.length === 0) return undefined;
  const names = blocks.map(({ name }) => name).join(', ');
  return {
    type: 'Docker',
    status: 'Unknown',
    reason: 'NoSocket',
    message: `the agent has no Docker socket any more, and the engine had ${names}: the node keeps their blocks until an agent with --docker-socket finds them gone`,
  };
}

const systemReady = ({ system }: Health): Verdict =>
  system.length === 0
    ? yes('Prepared', 'modules, sysctls, firewalls and the node’s own subnets are as needed')
    : no(system[0]?.reason ?? 'Unknown', brief(system.map(({ message }) => message)));
