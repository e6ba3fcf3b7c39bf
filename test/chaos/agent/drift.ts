import { addContainer, removeContainer, type Container } from '../../../hack/testbed/containers.ts';
import { addNamespace, inNode } from '../../../hack/testbed/namespaces.ts';
import { until } from '../../../hack/testbed/processes.ts';
import {
  allocated,
  installNode,
  registerNode,
  removeNode,
  startAgent,
  working,
} from '../../../hack/testbed/workloads.ts';
import { commandLine } from '../../../hack/parts/command.ts';
import { say } from '../../../hack/parts/progress.ts';
import { difference, shownBy, type Traces } from '../../support/residue.ts';
import { foreign, handsFor, type Hand } from './hands.ts';
import { none, shellOn, timed, tracesOf, type Measured, type Rig } from './rig.ts';

const node = 'node8';

/** Adds a node with a container; `before` is its state without an agent. */
async function prepare(rig: Rig): Promise<{ before: Traces; container: Container }> {
  const { lab, parts, client } = rig;
  await addNamespace(lab, node);
  await shellOn(rig, node, foreign.join(' && '));
  const before = await tracesOf(rig, node);
  await registerNode(lab, client, node);
  await installNode(lab, node);
  startAgent(lab, node);
  const { spec } = await allocated(lab, client, node, 1);
  await working(lab, client, node, (spec.networks ?? []).length);
  return { before, container: await addContainer(lab, parts, { node, network: 'dcos', name: 'there' }) };
}

/** The longest time to wait for a repair. */
const mostMs = 100_000;

/**
 * Runs the commands and returns the milliseconds until everything is as before. Only the lists that differed are read
 * repeatedly, because reading all of them takes seconds on a busy machine; all are read in the end.
 */
async function repaired(rig: Rig, { what, commands }: Hand, running: Traces): Promise<number> {
  const script = commands
    .map((command) => `${command} || echo "refused: ${command.replaceAll('"', '')}"`)
    .join('\n');
  const output = await commandLine([...inNode(rig.lab, node), 'sh', '-c', script]);
  const refused = output.split('\n').filter((line) => line.startsWith('refused: '));
  if (refused.length === commands.length)
    throw new Error(`${what}: nothing could be done: ${refused.join('; ')}`);
  const start = performance.now();
  let lists: Set<string> | undefined;
  let repairedMs: number | undefined;
  for (;;) {
    const shown = lists;
    const wanted = shown === undefined ? running : running.filter((line) => shown.has(shownBy(line)));
    const remaining = difference(wanted, await tracesOf(rig, node, lists === undefined ? {} : { of: lists }));
    const ms = performance.now() - start;
    if (remaining.length === 0 && lists === undefined) return repairedMs ?? ms;
    if (ms > mostMs)
      throw new Error(`${what}: after ${mostMs / 1_000} s this differs: ${remaining.slice(0, 6).join('; ')}`);
    repairedMs = remaining.length === 0 ? ms : undefined;
    lists = remaining.length === 0 ? undefined : (lists ?? new Set(remaining.map(shownBy)));
  }
}

/**
 * Deletes, and then changes, everything that an agent made on a node, kind by kind, beside similar objects of other
 * programs.
 * @param most how many of the changes to try, in the list's order; all by default
 */
export async function drift(rig: Rig, most = Infinity): Promise<Measured[]> {
  const measured: Measured[] = [];
  const { before, container } = await prepare(rig);
  try {
    // containers' ports have their elements after the agent's next pass
    const settled = async () => {
      const first = await tracesOf(rig, node);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return difference(first, await tracesOf(rig, node)).length === 0 ? first : undefined;
    };
    const running = await until('the node is settled', settled, { seconds: 60 });
    const changes = difference(before, running);
    const lost = changes.filter((line) => line.startsWith('- ') && !line.startsWith('- sysctls'));
    const owned = changes.filter((line) => line.startsWith('+ ')).map((line) => line.slice(2));
    const hands = handsFor(owned);
    for (const hand of hands.slice(0, most)) {
      const ms = await repaired(rig, hand, running);
      say(`${hand.what}: repaired after ${(ms / 1_000).toFixed(2)} s`);
      measured.push(timed(`${hand.objects} × ${hand.what}: all is as before after`, ms, 10_000));
    }
    // the time that reading alone takes; each of the times above includes it at least once
    const start = performance.now();
    const remaining = difference(running, await tracesOf(rig, node));
    measured.push(timed('one look at everything that is compared', performance.now() - start, 10_000));
    measured.push(none('lines that differ in the end', remaining));
    measured.push(none("others' links, routes, rules, sets and tables that changed", lost));
    return measured;
  } finally {
    await removeContainer(rig.lab, rig.parts, container);
    await removeNode(rig.lab, rig.client, node);
  }
}
