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
import { difference, type Traces } from '../../support/residue.ts';
import { foreign, handsFor, type Hand } from './hands.ts';
import { none, shellOn, timed, tracesOf, type Measured, type Rig } from './rig.ts';

const node = 'node8';

/** Adds a node and a container on it; `before` is what it shows without an agent. */
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

/** Lets the hand work, and returns after how many milliseconds everything is as it was. */
async function repaired(rig: Rig, { what, commands }: Hand, running: Traces): Promise<number> {
  const script = commands
    .map((command) => `${command} || echo "refused: ${command.replaceAll('"', '')}"`)
    .join('\n');
  const said = await commandLine([...inNode(rig.lab, node), 'sh', '-c', script]);
  const refused = said.split('\n').filter((line) => line.startsWith('refused: '));
  if (refused.length === commands.length)
    throw new Error(`${what}: nothing could be done: ${refused.join('; ')}`);
  const start = performance.now();
  let left: string[] = [];
  await until(
    `${what} is repaired`,
    async () => ((left = difference(running, await tracesOf(rig, node))).length === 0 ? true : undefined),
    { seconds: 100 },
  ).catch((error: unknown) => {
    throw new Error(`${what}: after 100 s this differs: ${left.slice(0, 6).join('; ')}`, { cause: error });
  });
  return performance.now() - start;
}

/**
 * Deletes, and then alters, everything that an agent made on a node, kind by kind, beside objects of others that look alike.
 * @param most how many of the hands, one after another from the list; all of them by default
 */
export async function drift(rig: Rig, most = Infinity): Promise<Measured[]> {
  const measured: Measured[] = [];
  const { before, container } = await prepare(rig);
  try {
    // containers' ports have their elements once the agent has looked again
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
      measured.push(timed(`${hand.objects} × ${hand.what}: all is as before after`, ms, 10_000));
    }
    measured.push(none("others' links, routes, rules, sets and tables that changed", lost));
    return measured;
  } finally {
    await removeContainer(rig.lab, rig.parts, container);
    await removeNode(rig.lab, rig.client, node);
  }
}
