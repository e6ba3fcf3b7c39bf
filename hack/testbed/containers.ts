import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { commandLine } from '../parts/command.ts';
import type { Parts } from '../parts.ts';
import { UserError, type Lab } from './lab.ts';
import { holderOf, inNode, pathInNode } from './namespaces.ts';
import { end, marks, processesOf, start } from './processes.ts';

/**
 * A container: a network namespace in a node, joined to a network by the CNI. It keeps the parameters of its ADD, so
 * that DEL works even after the network is gone.
 */
export interface Container {
  node: string;
  name: string;
  network: string;
  /** Addresses without prefix lengths. */
  addresses: string[];
}

const conflists = '/etc/cni/overlaynet.d';
const directory = (lab: Lab, node: string, name: string) => join(lab.dir, 'containers', node, name);
const roleOf = (node: string, name: string) => `container-${node}-${name}`;

/** Returns the networks that a node's containers can join now. */
function networksOf(lab: Lab, node: string): string[] {
  const dir = pathInNode(lab, node, conflists);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => name.endsWith('.conflist'))
    .map((name) => name.slice(0, -'.conflist'.length));
}

export function containersOf(lab: Lab, node: string): Container[] {
  const dir = join(lab.dir, 'containers', node);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => existsSync(join(dir, name, 'container.json')))
    .map((name) => JSON.parse(readFileSync(join(dir, name, 'container.json'), 'utf8')) as Container);
}

const listing = (names: string[]) => (names.length === 0 ? 'none' : names.join(', '));

export function containerNamed(lab: Lab, node: string, name: string): Container {
  holderOf(lab, node);
  const all = containersOf(lab, node);
  const found = all.find((one) => one.name === name);
  if (found) return found;
  throw new UserError(`${node} has no container "${name}"; it has: ${listing(all.map((one) => one.name))}`);
}

/** Runs a program in a node to its end. */
export function commandInNode(
  lab: Lab,
  node: string,
  argv: string[],
  env?: NodeJS.ProcessEnv,
): Promise<string> {
  return commandLine([...inNode(lab, node), ...argv], env === undefined ? {} : { env });
}

function cnitool(
  lab: Lab,
  parts: Parts,
  dir: string,
  verb: 'add' | 'del',
  container: Container,
): Promise<string> {
  const env = { ...process.env, NETCONFPATH: dir, CNI_PATH: parts.cni };
  const argv = [join(parts.cni, 'cnitool'), verb, container.network, `/var/run/netns/${container.name}`];
  return commandInNode(lab, container.node, argv, env);
}

/** Makes a container and joins it to the network. Throws UserError for an unknown node or network, or a bad name. */
export async function addContainer(
  lab: Lab,
  parts: Parts,
  wanted: Omit<Container, 'addresses'>,
): Promise<Container> {
  const { node, name, network } = wanted;
  const networks = networksOf(lab, node);
  if (!networks.includes(network)) {
    throw new UserError(`no network "${network}" for containers of ${node}; there: ${listing(networks)}`);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name))
    throw new UserError(`"${name}" is no name for a container`);
  const dir = directory(lab, node, name);
  if (existsSync(dir)) throw new UserError(`${node} has a container "${name}" already`);
  mkdirSync(dir, { recursive: true });
  try {
    const conflist = pathInNode(lab, node, join(conflists, `${network}.conflist`));
    copyFileSync(conflist, join(dir, `${network}.conflist`));
    await commandInNode(lab, node, ['ip', 'netns', 'add', name]);
    await commandInNode(lab, node, ['ip', '-n', name, 'link', 'set', 'lo', 'up']);
    const result = JSON.parse(await cnitool(lab, parts, dir, 'add', { ...wanted, addresses: [] })) as {
      ips?: { address: string }[];
    };
    const addresses = (result.ips ?? []).map((one) => one.address.replace(/\/.*/, ''));
    const container = { ...wanted, addresses };
    writeFileSync(join(dir, 'container.json'), JSON.stringify(container));
    return container;
  } catch (error) {
    await takeBack(lab, parts, { ...wanted, addresses: [] }).catch(() => undefined);
    throw error;
  }
}

/** Runs DEL, removes the namespace and forgets the container. A second call does nothing. */
async function takeBack(lab: Lab, parts: Parts, container: Container): Promise<void> {
  const { node, name } = container;
  const dir = directory(lab, node, name);
  const leaving = `${dir}.leaving`;
  try {
    renameSync(dir, leaving);
  } catch {
    return;
  }
  try {
    await cnitool(lab, parts, leaving, 'del', container);
  } finally {
    await commandInNode(lab, node, ['ip', 'netns', 'del', name]);
    rmSync(leaving, { recursive: true });
  }
}

export async function removeContainer(lab: Lab, parts: Parts, container: Container): Promise<void> {
  await end(lab, { role: roleOf(container.node, container.name) }, 'SIGTERM');
  await takeBack(lab, parts, container);
}

export const within = (lab: Lab, { node, name }: Container, argv: string[]) => [
  ...inNode(lab, node),
  ...['ip', 'netns', 'exec', name, ...argv],
];

/** Starts a program in a container and does not wait for its end. */
export function startInContainer(lab: Lab, container: Container, argv: string[]): void {
  const { node, name } = container;
  start(lab, roleOf(node, name), within(lab, container, argv), { node });
}

/** Runs a program in a container and returns its output. Throws CommandFailed. */
export function commandInContainer(lab: Lab, container: Container, argv: string[]): Promise<string> {
  return commandLine(within(lab, container, argv));
}

/**
 * Runs a program in a container with this process's terminal. Returns its exit status, or 128 plus the number of the
 * signal that ended it. Signals to this process are passed to the program, which decides when to end.
 */
export function inForeground(lab: Lab, container: Container, argv: string[]): Promise<number> {
  const { node, name } = container;
  const [program = '', ...args] = within(lab, container, argv);
  const env = { ...process.env, ...marks(lab, roleOf(node, name), node) };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      process.on(signal, () => {
        // the terminal sends Ctrl-C to the program itself
        if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
      });
    }
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : (signals[signal] ?? 0)));
    });
  });
}

const signals: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGTERM: 15,
};

/** How many programs run in the container. */
export const programsIn = (lab: Lab, { node, name }: Container) =>
  processesOf(lab, { role: roleOf(node, name) }).length;
