import { pods } from '../kube/resources.ts';
import type { Access } from './access.ts';
import { read } from './chain.ts';
import { inconsistencies, type CheckFacts } from './consistency.ts';
import type { Inconsistency } from './ledgercheck.ts';
import { CommandFailure } from './failure.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';
import { Table } from './table.ts';
import { harmless, harmlessJSON } from './text.ts';
import { clusterFacts, containersOf } from './why.ts';

/** The pause between two readings: longer than operators cache an agent's answer. */
const againMs = 4_000;
/** How long a restarted agent may take to become ready, before the user gets a message. */
const restartedMs = 120_000;
const pollMs = 2_000;

/**
 * `check`.
 * @returns 0 if everything agrees, 1 if something does not, 2 if something could not be read
 */
export async function check(
  access: Access,
  options: { output?: 'json'; fix?: boolean },
  out: Output,
): Promise<number> {
  let result = await lasting(access, out);
  const fixed: string[] = [];
  if (options.fix === true) {
    fixed.push(...(await mend(access, result.found, out)));
    if (fixed.length > 0) result = await lasting(access, out);
  }
  if (options.output === 'json') out.line(harmlessJSON({ ...result, fixed }));
  else show(result, fixed, out);
  skew(access, out);
  if (result.found.length > 0) return 1;
  return result.unknown.length > 0 ? 2 : 0;
}

type Result = ReturnType<typeof inconsistencies>;

/** The differences that appear in two readings. Pods that start or stop between two answers appear in only one. */
async function lasting(access: Access, out: Output): Promise<Result> {
  const first = inconsistencies(await gather(access, out));
  if (first.found.length === 0) return first;
  out.note(`looking again, since ${first.found.length} things do not agree`);
  await out.pause(againMs);
  const { found, unknown } = inconsistencies(await gather(access, out));
  const before = new Set(first.found.map(textOf));
  return { found: found.filter((one) => before.has(textOf(one))), unknown };
}

const textOf = ({ is, between, node, object, message }: Inconsistency): string =>
  [is, between, node, object, message].join('\n');

async function gather(access: Access, out: Output): Promise<CheckFacts> {
  const facts = await clusterFacts(access, out);
  const containers = await containersOf(access);
  const listed = await read(() => access.api((client) => client.list(pods())));
  return { ...facts, containers, pods: 'why' in listed ? listed : { value: listed.value.items } };
}

function show({ found, unknown }: Result, fixed: readonly string[], out: Output): void {
  for (const one of fixed) out.line(harmless(`fixed: ${one}`));
  if (found.length === 0)
    out.line(
      unknown.length === 0
        ? 'all agree: ledger, allocations, registrations, kernels, leases, records, pods, Docker'
        : 'what could be read agrees',
    );
  else {
    out.line(`${found.length} ${found.length === 1 ? 'thing does' : 'things do'} not agree`);
    out.line('');
    const rows = found.map(({ is, between, node, object, message }) => [is, between, node, object, message]);
    const head = ['IS', 'BETWEEN', 'NODE', 'OBJECT', 'MESSAGE'];
    for (const line of new Table(out).lines([head, ...rows])) out.line(line);
    out.line('');
    for (const next of new Set(found.map((one) => one.next))) out.line(harmless(`  ${next}`));
  }
  for (const one of unknown) out.warn(`not known: ${one}`);
}

/**
 * Restarts the agents of nodes that have leftovers which an agent removes. This is safe: a starting agent compares its whole
 * node, frees what stopped containers left, and touches nothing else. Containers keep running.
 */
async function mend(access: Access, found: readonly Inconsistency[], out: Output): Promise<string[]> {
  const nodes = [...new Set(found.flatMap(({ node, mendable }) => (mendable === true ? [node] : [])))];
  const done: string[] = [];
  for (const node of nodes) {
    const agent = await agentOn(access, node);
    if (agent === undefined) {
      out.warn(`no agent’s pod is on ${node} in namespace ${access.namespace}: restart it there by hand`);
      continue;
    }
    const { name, uid } = agent.metadata;
    await access.api((client) =>
      client.delete(pods(access.namespace), name, uid === undefined ? {} : { uid }),
    );
    out.note(`restarting the agent of ${node} (pod ${name})`);
    if (await isBack(access, node, uid, out)) done.push(`restarted the agent of ${node} (pod ${name})`);
    else
      throw new CommandFailure(
        `the agent of ${node} was not ready again within ${restartedMs / 1_000} s; no other was restarted`,
        `kubectl get pods -n ${access.namespace} -o wide --field-selector spec.nodeName=${node}`,
      );
  }
  return done;
}

async function agentOn(access: Access, node: string) {
  const labelSelector = 'app.kubernetes.io/name=overlaynet-agent';
  const { items } = await access.api((client) => client.list(pods(access.namespace), { labelSelector }));
  return items.find(({ spec }) => spec?.nodeName === node);
}

async function isBack(access: Access, node: string, uid: string | undefined, out: Output): Promise<boolean> {
  const until = Date.now() + restartedMs;
  for (;;) {
    const agent = await agentOn(access, node);
    const isReady = agent?.status?.conditions?.some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    );
    if (agent !== undefined && agent.metadata.uid !== uid && isReady === true) return true;
    if (Date.now() > until) return false;
    await out.pause(pollMs);
  }
}
