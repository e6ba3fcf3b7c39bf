import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { command, commandLine } from '../../hack/parts/command.ts';
import { containerNamed, within } from '../../hack/testbed/containers.ts';
import { addressesOf, installation, kubeconfig, labNamed, root } from '../../hack/testbed/lab.ts';
import { inNode, nodesOf } from '../../hack/testbed/namespaces.ts';
import { parsePing } from '../../hack/testbed/pings.ts';
import { leaderOf, marks, until } from '../../hack/testbed/processes.ts';
import { agentPort, startAgent, startOperator } from '../../hack/testbed/workloads.ts';
import { eventually, found } from './eventually.ts';
import { labName } from './lab-setup.ts';

/** The suite's lab; the functions below are what a user would type. */
export const lab = labNamed(labName);

jest.setTimeout(300_000);

/** Programs that tests started and that still run: a failed test leaves some. */
const unfinished = new Set<ChildProcess>();
afterEach(() => {
  for (const child of unfinished) child.kill('SIGKILL');
});

/** Starts what a failed test left ended: the tests of other files use the same lab. */
afterEach(async () => {
  const ended = (role: string) => leaderOf(lab, role) === undefined;
  if (ended('api')) await hackLab('api', 'start');
  for (const number of [1, 2]) if (ended(`operator-${number}`)) startOperator(lab, number);
  for (const node of ['node1', 'node2', 'node3']) if (ended(`agent-${node}`)) startAgent(lab, node);
});

/** The environment of a user's shell: without Node options that Jest needs. */
const userEnvironment = { ...process.env, NODE_OPTIONS: '' };

/** Runs one of hack/'s commands as `npm run` does. Throws CommandFailed with its message. */
export const hack = (name: 'up' | 'down' | 'lab', ...args: string[]) =>
  command(process.execPath, [join(root, 'hack', `${name}.ts`), ...args], { env: userEnvironment });

/** Runs `hack/lab` on the shared lab. */
export const hackLab = (...args: string[]) => hack('lab', '--lab', labName, ...args);

export const kubectl = (args: string[], input?: string) =>
  command(
    process.env.KUBEBUILDER_ASSETS === undefined
      ? 'kubectl'
      : join(process.env.KUBEBUILDER_ASSETS, 'kubectl'),
    [`--kubeconfig=${kubeconfig(lab)}`, `--cache-dir=${join(lab.dir, 'kubectl')}`, ...args],
    input === undefined ? {} : { input },
  );

/** Returns a value from the lab's env file. */
export function environment(name: 'KUBECONFIG' | 'STATE_URL', of = lab): string {
  const line = readFileSync(join(of.dir, 'env'), 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}=`));
  if (line === undefined) throw new Error(`${name} is not in ${of.dir}/env`);
  return line.slice(name.length + 1);
}

/** Runs a program in a node. */
export const onNode = (node: string, ...argv: string[]) => commandLine([...inNode(lab, node), ...argv]);

/** Runs a program in a container that `up` started, such as node2's on `dcos`. */
export const inContainer = (node: string, name: string, ...argv: string[]) =>
  commandLine(within(lab, containerNamed(lab, node, name), argv));

export const addressOf = (node: string, name: string) => containerNamed(lab, node, name).addresses[0]!;

let token: Promise<string> | undefined;
/** A token of overlaynet-viewer. */
const viewerToken = () =>
  (token ??= kubectl(['create', 'token', '-n', installation, 'overlaynet-viewer', '--duration=4h']));

/** Returns the body of an agent's endpoint; undefined if it answers with an error or not at all. */
export async function agentGet(node: string, path: string): Promise<string | undefined> {
  const bearer = ['/healthz', '/readyz'].includes(path) ? '' : (await viewerToken()).trim();
  const url = `https://${addressesOf(node)[0]}:${agentPort}${path}`;
  const script = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; const r = await fetch('${url}', { headers: { authorization: 'Bearer ${bearer}' } }); if (!r.ok) process.exit(1); process.stdout.write(await r.text())`;
  return onNode(node, process.execPath, '--no-warnings', '--input-type=module', '-e', script).catch(
    () => undefined,
  );
}

export const agentReady = (node: string) =>
  until(`agent of ${node} ready`, () => agentGet(node, '/readyz'), { lab, roles: [`agent-${node}`] });

interface Run {
  /** Ends it with Ctrl-C and returns its output. */
  stop: () => Promise<string>;
}

/** Starts a command line, which runs until it is stopped. */
export async function running(argv: string[], started?: RegExp): Promise<Run> {
  const [program = '', ...args] = argv;
  const env = { ...process.env, ...marks(lab, 'test') };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  const grown = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', grown);
  child.stderr.on('data', grown);
  const ended = once(child, 'close').then(() => unfinished.delete(child));
  unfinished.add(child);
  if (started) await until(`${program}: ${String(started)}`, () => (started.test(output) ? true : undefined));
  return {
    stop: async () => {
      child.kill('SIGINT');
      await ended;
      return output;
    },
  };
}

/** Pings from a container, 20 times a second, until it is stopped; then returns how many were sent and answered. */
export async function pinging(from: { node: string; name: string }, to: string) {
  const argv = within(lab, containerNamed(lab, from.node, from.name), ['ping', '-n', '-i', '0.02', to]);
  const run = await running(argv, /bytes from/);
  return { stop: async () => parsePing(await run.stop()) };
}

/** Returns every kernel object of a node that an agent could have made, as text without counters and times. */
export async function kernelOf(node: string): Promise<string> {
  // the kernel still tests the addresses of new veths for duplicates, and adds routes after that
  await until(`addresses of ${node}`, async () =>
    (await onNode(node, 'ip', '-6', 'address', 'show', 'tentative')) === '' ? true : undefined,
  );
  const questions = [
    ['ip', '-d', 'link', 'show'],
    ['ip', 'address', 'show'],
    ['ip', 'route', 'show', 'table', 'all'],
    ['ip', '-6', 'route', 'show', 'table', 'all'],
    ['ip', 'rule', 'show'],
    ['ip', '-6', 'rule', 'show'],
    ['ip', 'nexthop', 'show'],
    ['ip', 'neigh', 'show', 'nud', 'permanent'],
    ['bridge', 'fdb', 'show'],
    ['iptables-save'],
    ['ip6tables-save'],
    ['ipset', 'save'],
  ];
  const answers = await Promise.all(questions.map((argv) => onNode(node, ...argv)));
  return (
    answers
      .map((answer, index) => `$ ${questions[index]!.join(' ')}\n${answer}`)
      .join('\n')
      .replace(/^#.*\n/gm, '')
      .replace(/\[\d+:\d+\]/g, '')
      .replace(/ \w+_timer +[\d.]+/g, '')
      .replace(/ fdb_n_learned \d+/g, '')
      .replace(/ (expires|valid_lft|preferred_lft) \w+/g, '')
      // a bridge learns addresses from packets, and forgets them after five minutes
      .replace(/^[0-9a-f:]{17} dev \S+ master \S+ *\n/gm, '')
  );
}

/**
 * Returns `kernelOf` once it shows each other node and no removed one, and has not changed for a second: an agent
 * removes what an earlier test made a few seconds after that test's end.
 */
export async function settledKernel(node: string): Promise<string> {
  let last = '';
  return eventually(
    async () => {
      const before = last;
      last = await kernelOf(node);
      const peers = last.match(/ dev vtep1024 dst /g)?.length ?? 0;
      if (peers === nodesOf(lab).length - 1 && last === before) return last;
      await sleep(1_000);
      return undefined;
    },
    found,
    { what: `the kernel of ${node} to settle` },
  );
}

/**
 * Returns the agent's and the CNI's files on a node with their contents, except the file that holds the last reserved
 * address.
 */
export const filesOf = (node: string) =>
  onNode(
    node,
    'sh',
    '-c',
    'find /etc/cni /var/lib/cni /var/lib/overlaynet -type f ! -name "last_reserved_ip*" | sort | xargs -r tail -v -c +1',
  );

/** Returns a manifest of a further network, which a test adds and removes. */
export const manifest = (name: string, cidr: string, cidr6: string) => `
apiVersion: overlaynet.dev/v1alpha1
kind: OverlayNetwork
metadata:
  name: ${name}
spec:
  subnets:
    - { cidr: ${cidr}, prefix: 24 }
    - { cidr: '${cidr6}', prefix: 64 }
`;

/** Deletes a network and waits until it has disappeared from all nodes. */
export async function withdraw(name: string): Promise<void> {
  await kubectl(['delete', 'overlaynetwork', name, '--wait=false', '--ignore-not-found']);
  const isGone = async () => {
    const all = await Promise.all(
      nodesOf(lab).map(async (node) => (await kernelOf(node)) + (await filesOf(node))),
    );
    return all.join('').includes(name) ? undefined : true;
  };
  // a file that is removed while it is read is an error, and no answer yet
  await eventually(isGone, found, { what: `${name} to be withdrawn` });
}
