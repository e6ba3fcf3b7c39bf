import { messageOf } from '../src/error.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { ensurePackages } from './parts/packages.ts';
import { say } from './parts/progress.ts';
import type { Parts } from './parts.ts';
import {
  addContainer,
  containerNamed,
  containersOf,
  inForeground,
  programsIn,
  removeContainer,
} from './testbed/containers.ts';
import { administrator, apiAnswers, startApiserver } from './testbed/controlplane.ts';
import { runningLab, UserError, type Lab } from './testbed/lab.ts';
import { holderOf, nodesOf } from './testbed/namespaces.ts';
import { end, leaderOf, signalRole } from './testbed/processes.ts';
import { table } from './testbed/table.ts';
import { addNode, allocated, removeNode, startAgent, startOperator, working } from './testbed/workloads.ts';

const program = new Command('hack/lab')
  .description('Works with a running lab.')
  .option(
    '--lab <name>',
    'name of the lab; default $NAME, else overlaynet',
    process.env.NAME ?? 'overlaynet',
  );

const theLab = (): Lab => runningLab(program.opts<{ lab: string }>().lab);
const partsOf = (lab: Lab) => JSON.parse(readFileSync(join(lab.dir, 'parts.json'), 'utf8')) as Parts;

program
  .command('run <node> <network> [command...]')
  .description('run a command in the foreground in a new container; the container goes when the command ends')
  .requiredOption('--name <container>', "the container's name")
  .action(async (node: string, network: string, argv: string[], options: { name: string }) => {
    const lab = theLab();
    if (argv.length === 0)
      throw new UserError('say what to run: hack/lab run NODE NETWORK --name C -- CMD …');
    const parts = partsOf(lab);
    const container = await addContainer(lab, parts, { node, network, name: options.name });
    try {
      process.exitCode = await inForeground(lab, container, argv);
    } finally {
      await removeContainer(lab, parts, container);
    }
  });

program
  .command('exec <node> <container> [command...]')
  .description('run a command in a container that is there')
  .action(async (node: string, name: string, argv: string[]) => {
    const lab = theLab();
    if (argv.length === 0) throw new UserError('say what to run: hack/lab exec NODE C -- CMD …');
    process.exitCode = await inForeground(lab, containerNamed(lab, node, name), argv);
  });

program
  .command('rm <node> <container>')
  .description('end a container')
  .action(async (node: string, name: string) => {
    const lab = theLab();
    await removeContainer(lab, partsOf(lab), containerNamed(lab, node, name));
  });

const stateOf = (lab: Lab, role: string) => {
  const leader = leaderOf(lab, role);
  return leader === undefined ? 'stopped' : leader.paused ? 'paused' : 'running';
};

program
  .command('ls')
  .description('list processes, nodes and containers')
  .action(() => {
    const lab = theLab();
    const roles = ['api', 'operator-1', 'operator-2', ...nodesOf(lab).map((node) => `agent-${node}`)];
    console.log(table([['PROCESS', 'STATE'], ...roles.map((role) => [role, stateOf(lab, role)])]));
    const containers = nodesOf(lab).flatMap((node) => containersOf(lab, node));
    const rows = containers.map((one) => [
      one.node,
      one.name,
      one.network,
      one.addresses.join(' '),
      String(programsIn(lab, one)),
    ]);
    console.log(`\n${table([['NODE', 'CONTAINER', 'NETWORK', 'ADDRESSES', 'PROGRAMS'], ...rows])}`);
  });

const node = program.command('node').description('add or remove a node');
node
  .command('add <node>')
  .description('make namespaces and Node object, start the agent, wait for its networks')
  .action(async (name: string) => {
    const lab = theLab();
    const client = await administrator(lab);
    await addNode(lab, client, name);
    const { spec } = await allocated(lab, client, name, 1);
    await working(lab, client, name, (spec.networks ?? []).length);
    await client.close();
  });
node
  .command('remove <node>')
  .description('pull the node out and delete its Node object')
  .action(async (name: string) => {
    const lab = theLab();
    const client = await administrator(lab);
    await removeNode(lab, client, name);
    await client.close();
  });

/** Adds the commands that start, stop, pause and continue one kind of process. */
function verbs(
  noun: string,
  argument: string,
  role: (lab: Lab, which: string) => string,
  start: (lab: Lab, which: string) => void,
) {
  const command = program
    .command(noun)
    .description(`stop, start, kill, pause or resume ${noun === 'agent' ? 'an agent' : 'an operator'}`);
  const verb = (
    name: string,
    description: string,
    action: (lab: Lab, which: string) => Promise<void> | void,
  ) =>
    command
      .command(`${name} <${argument}>`)
      .description(description)
      .action((which: string) => action(theLab(), which));
  const running = (lab: Lab, which: string) => {
    if (!leaderOf(lab, role(lab, which))) throw new UserError(`${role(lab, which)} is not running`);
    return role(lab, which);
  };
  verb('stop', 'end it with SIGTERM', (lab, which) => end(lab, { role: running(lab, which) }, 'SIGTERM'));
  verb('kill', 'end it with SIGKILL', (lab, which) => end(lab, { role: running(lab, which) }, 'SIGKILL'));
  verb('pause', 'stop it with SIGSTOP', (lab, which) => {
    signalRole(lab, running(lab, which), 'SIGSTOP');
  });
  verb('resume', 'go on after pause', (lab, which) => {
    signalRole(lab, running(lab, which), 'SIGCONT');
  });
  verb('start', 'start it again', async (lab, which) => {
    role(lab, which);
    const { buildBundles } = await import('./build.ts');
    await buildBundles();
    start(lab, which);
  });
}

verbs(
  'agent',
  'node',
  (lab, which) => {
    holderOf(lab, which);
    return `agent-${which}`;
  },
  startAgent,
);
verbs(
  'operator',
  'number',
  (_, which) => {
    if (!/^[12]$/.test(which)) throw new UserError(`no operator "${which}": the lab has operators 1 and 2`);
    return `operator-${which}`;
  },
  (lab, which) => {
    startOperator(lab, Number(which));
  },
);

const api = program.command('api').description('stop or start the API server');
api
  .command('stop')
  .description('end kube-apiserver; etcd goes on')
  .action(async () => {
    const lab = theLab();
    if (!leaderOf(lab, 'api')) throw new UserError('the API server is not running');
    await end(lab, { role: 'api' }, 'SIGTERM');
  });
api
  .command('start')
  .description('start kube-apiserver and wait until it is ready')
  .action(async () => {
    const lab = theLab();
    if (leaderOf(lab, 'api')) throw new UserError('the API server is running already');
    startApiserver(lab, partsOf(lab));
    const client = await administrator(lab);
    await apiAnswers(lab, client);
    await client.close();
  });

try {
  await ensurePackages();
  await program.parseAsync();
} catch (error) {
  say(`hack/lab: ${messageOf(error)}`);
  process.exitCode = 1;
}
