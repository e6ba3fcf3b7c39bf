import { parseDuration } from '../api/duration.ts';
import { daemonSets, leases, networkPolicies } from '../kube/resources.ts';
import type { AgentRow, FindingRow, NetworkRow } from '../rows/row.ts';
import { version, type Access } from './access.ts';
import { readingInto } from './chain.ts';
import { columns } from './columns.ts';
import { CommandFailure } from './failure.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';
import { Table } from './table.ts';
import { age, harmless, harmlessJSON } from './text.ts';

/** What `status` shows. */
export interface Health {
  healthy: boolean;
  /** Phrases that say why the cluster is not healthy. */
  reasons: string[];
  versions: { command: string; operator: string };
  operators: { name: string; ready: boolean }[] | undefined;
  /** Identity of the leader; undefined if it could not be read, empty if there is no leader. */
  leader: string | undefined;
  agents: { ready: number; all: number; others: { node: string; state: string; message: string }[] };
  networks: NetworkRow[];
  findings: FindingRow[];
  /** The number of NetworkPolicies, and the programs that enforce them; undefined if that could not be read. */
  policies: { count: number; enforcedBy: string[] } | undefined;
  /** Phrases that name what could not be read. */
  unknown: string[];
}

const pollMs = 2_000;

/**
 * `status`.
 * @returns 0 if healthy, 1 if not; a CommandFailure (2) if that is unknown
 */
export async function status(
  access: Access,
  options: { wait?: string; output?: 'json' },
  out: Output,
): Promise<number> {
  const waitMs = options.wait === undefined ? 0 : parseDuration(options.wait);
  if (waitMs === undefined)
    throw new CommandFailure(`--wait "${options.wait ?? ''}" is not a time`, 'give one such as 90s or 5m');
  const until = Date.now() + waitMs;
  let noted = '';
  for (;;) {
    const health = await look(access, Date.now() + pollMs < until);
    if (health instanceof CommandFailure) {
      if (noted !== health.message) out.note(`waiting: ${health.message}`);
      noted = health.message;
    } else if (health.healthy || Date.now() + pollMs > until) {
      if (options.output === 'json') out.line(harmlessJSON(health));
      else show(health, out);
      skew(access, out);
      return health.healthy ? 0 : 1;
    } else {
      const [first = ''] = health.reasons;
      if (noted !== first) out.note(`waiting: ${first}`);
      noted = first;
    }
    await out.pause(pollMs);
  }
}

/** @param patient a failure is not final */
async function look(access: Access, patient: boolean): Promise<Health | CommandFailure> {
  try {
    return await healthOf(access);
  } catch (error) {
    if (patient && error instanceof CommandFailure) return error;
    throw error;
  }
}

async function healthOf(access: Access): Promise<Health> {
  const networks = (await access.all('networks')).items;
  const agents = (await access.all('agents')).items;
  const findings = (await access.all('findings')).items;
  const unknown: string[] = [];
  const read = readingInto(unknown);
  const operators = await read('operators', () => access.operators());
  const lease = await read('leader', () =>
    access.api((client) => client.get(leases(access.namespace), 'overlaynet-operator')),
  );
  const shown = operators?.map(({ metadata, status: podStatus }) => ({
    name: metadata.name,
    ready: podStatus?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
  }));
  const leader = unknown.some((one) => one.startsWith('leader'))
    ? undefined
    : (lease?.spec?.holderIdentity ?? '');
  const policies = await read('NetworkPolicies', () => policiesOf(access));
  const reasons = reasonsOf(networks, agents, findings, shown, leader);
  return {
    healthy: reasons.length === 0,
    reasons,
    versions: { command: version, operator: access.operatorVersion ?? '' },
    operators: shown,
    leader,
    agents: countAgents(agents),
    networks,
    findings,
    policies,
    unknown,
  };
}

/** Programs that are known to enforce NetworkPolicies, by the names of their DaemonSets. */
const enforcers =
  /^(calico-node|canal|cilium|antrea-agent|kube-router|kube-network-policies|weave-net|romana|ovnkube-node)$/;

async function policiesOf(access: Access): Promise<Health['policies']> {
  return access.api(async (client) => {
    const { items } = await client.list(networkPolicies);
    if (items.length === 0) return { count: 0, enforcedBy: [] };
    const sets = await client.list(daemonSets);
    const names = sets.items.map(({ metadata }) => metadata.name).filter((name) => enforcers.test(name));
    return { count: items.length, enforcedBy: [...new Set(names)] };
  });
}

const countAgents = (agents: readonly AgentRow[]): Health['agents'] => ({
  ready: agents.filter(({ state }) => state === 'Ready').length,
  all: agents.length,
  others: agents
    .filter(({ state }) => state !== 'Ready')
    .map(({ node, state, message }) => ({ node, state, message })),
});

/**
 * The reasons why a cluster is not healthy. A disabled network is no reason, because its user wants that, and neither is a
 * degraded agent, because it works.
 */
export function reasonsOf(
  networks: readonly NetworkRow[],
  agents: readonly AgentRow[],
  findings: readonly FindingRow[],
  operators: Health['operators'],
  leader: string | undefined,
): string[] {
  const notReady = agents.filter(({ state }) => state !== 'Ready' && state !== 'Degraded');
  const errors = findings.filter(({ weight }) => weight === 'Error').length;
  return [
    ...(operators !== undefined && operators.every(({ ready }) => !ready) && operators.length > 0
      ? ['no operator is ready']
      : []),
    ...(leader === '' ? ['no operator leads'] : []),
    ...(agents.length === 0 ? ['no agent has registered'] : []),
    ...(notReady.length > 0 ? [`${notReady.length} of ${agents.length} agents are not ready`] : []),
    ...networks
      .filter(({ state }) => state !== 'Ready' && state !== 'Disabled')
      .map(
        ({ name, state, message }) => `network ${name} is ${state}${message === '' ? '' : `: ${message}`}`,
      ),
    ...(errors > 0 ? [`${errors} finding${errors === 1 ? '' : 's'} of weight Error`] : []),
  ];
}

const mostListed = 20;

function show(health: Health, out: Output): void {
  const { healthy, reasons, versions, agents, networks, findings, policies, unknown } = health;
  const head = healthy ? 'healthy' : `NOT HEALTHY: ${reasons[0] ?? ''}`;
  out.line(out.colours ? `\u001b[1;${healthy ? 32 : 31}m${harmless(head)}\u001b[0m` : harmless(head));
  for (const reason of reasons.slice(1, mostListed)) out.line(harmless(`             ${reason}`));
  out.line('');
  out.line(harmless(`Operators  ${operatorsText(health)}, version ${versions.operator}`));
  out.line(`Agents     ${agents.ready} of ${agents.all} ready, by their last reports`);
  if (policies !== undefined && policies.count > 0) out.line(policiesText(policies));
  const section = (title: string, rows: string[][], omitted: number) => {
    out.line('');
    out.line(title);
    for (const line of new Table(out).lines(rows)) out.line(`  ${line}`);
    if (omitted > 0) out.line(`  … and ${omitted} more`);
  };
  const now = Date.now();
  const others = agents.others.slice(0, mostListed).map(({ node, state, message }) => [node, state, message]);
  if (others.length > 0)
    section(
      'Agents that are not ready',
      [['NODE', 'STATE', 'MESSAGE'], ...others],
      agents.others.length - others.length,
    );
  const shown = columns.networks.filter(({ wide = false }) => !wide);
  if (networks.length > 0)
    section(
      'Networks',
      [shown.map(({ name }) => name), ...networks.map((row) => shown.map((one) => one.of(row, now)))],
      0,
    );
  const found = findings.slice(0, mostListed);
  const rows = found.map(({ weight, object, type, reason, message, since }) => [
    weight,
    object,
    `${type}/${reason}`,
    age(since, now),
    message,
  ]);
  if (rows.length > 0)
    section(
      'Findings',
      [['WEIGHT', 'OBJECT', 'CONDITION', 'AGE', 'MESSAGE'], ...rows],
      findings.length - found.length,
    );
  for (const one of unknown) out.warn(`not known: ${one}`);
}

function operatorsText({ operators, leader }: Health): string {
  const count =
    operators === undefined || operators.length === 0
      ? 'answering'
      : `${operators.filter(({ ready }) => ready).length} of ${operators.length} ready`;
  return `${count}, ${leader === undefined ? 'leader not known' : leader === '' ? 'none leads' : `${leader} leads`}`;
}

const policiesText = ({ count, enforcedBy }: NonNullable<Health['policies']>): string =>
  enforcedBy.length > 0
    ? `Policies   ${count} NetworkPolicies, enforced by ${harmless(enforcedBy.join(', '))} where pods are on its network`
    : `Policies   ${count} NETWORKPOLICIES, AND NOTHING HERE ENFORCES THEM: overlaynet isolates networks (spec.isolation), not pods`;
