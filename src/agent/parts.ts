import type { Finding } from '../api/conditions.ts';
import { answer } from '../containers/answer.ts';
import { CNIFiles } from '../containers/cni.ts';
import { Namespaces } from '../containers/namespaces.ts';
import { Pods } from '../containers/pods.ts';
import { AgentSocket } from '../containers/socket.ts';
import { FirstSweep } from '../containers/sweep.ts';
import type { Docker } from '../docker/docker.ts';
import { socketIn, type Directories } from '../host/directories.ts';
import type { Host } from '../host/host.ts';
import type { OwnRanges } from '../host/ranges.ts';
import type { Client } from '../kube/client.ts';
import { run as runProgram, type Run } from '../linux/run.ts';
import type { Log } from '../log.ts';
import { NetworkAvailable } from '../report/available.ts';
import type { ContainerHealth } from '../report/findings.ts';
import { SeenVersion } from '../report/registration.ts';
import { Caches } from './caches.ts';
import { CheckpointFile } from './checkpoint.ts';
import { Judge } from './judge.ts';
import { Knowledge } from './known.ts';
import type { Metrics } from './metrics.ts';
import { Pass, type Kernel } from './pass.ts';
import { Report } from './report.ts';
import { Use } from '../use/use.ts';

export interface AgentOptions {
  node: string;
  addresses: string[];
  directories: Directories;
  /** Permissions of the conflists. By default an existing file keeps its own, and a new one gets 0644. */
  conflistMode?: number | undefined;
  /** The CNI plugin's file, which also runs the sweep. */
  cniPlugin: string;
  client: Client;
  kernel: Kernel;
  /** Returns the names of the node's links. By default those of this process's network namespace. */
  links?: () => ReadonlySet<string>;
  run?: Run;
  /** Returns the smallest MTU, in bytes, of the links that lead to these addresses of other nodes. */
  uplinkMTU: (peers: readonly string[]) => Promise<number>;
  /** Undefined if the agent does not use Docker. */
  docker?: Docker | undefined;
  host: Pick<Host, 'problems' | 'look'>;
  ranges: Pick<OwnRanges, 'toRegister'>;
  /** The finding of probes of other nodes; absent if the agent does not probe. */
  probed?: () => Finding | undefined;
  /** SHA-256 of the certificate that this process serves, in hexadecimal; undefined while it serves none. */
  certificate?: () => string | undefined;
  metrics: Metrics;
  log: Log;
}

/** The part of the agent's loop that the other parts need. */
interface Loop {
  add: (work: 'report' | 'checkpoint') => void;
  /** Announces a container: it is counted after this many milliseconds. */
  expect: (soonMs: number) => void;
  containers: () => ContainerHealth;
}

/** Makes the agent's parts, beginning with the checkpoint, and connects them. */
export function assemble(options: AgentOptions, loop: Loop) {
  const { node, client, docker, metrics, log } = options;
  const caches = new Caches(client, node, log);
  const checkpoint = checkpointOf(options, loop);
  const last = checkpoint.load(node);
  metrics.checkpoint(checkpoint.problem !== undefined);
  const seen = new SeenVersion(last?.seenResourceVersion);
  const cni = conflistsOf(options, last?.networks ?? []);
  const namespaces = new Namespaces({
    client,
    log,
    last: last?.namespaces ?? [],
    onChange: () => {
      loop.add('checkpoint');
    },
  });
  const judge = new Judge({ node, caches, seen, last });
  const known = { judge, caches, cni, checkpoint, docker, namespaces, seen, metrics };
  const pass = new Pass(node, { ...known, kernel: options.kernel, last: last?.snapshot, log });
  const knowledge = new Knowledge({ pass, caches, judge, cni });
  const onCount = metrics.used.bind(metrics);
  const onContainers = metrics.contains.bind(metrics);
  const record = () => {
    pass.save();
    checkpoint.flush();
    return checkpoint.problem === undefined;
  };
  const use = new Use({
    ...options.directories,
    links: options.links,
    docker,
    caches,
    pass,
    record,
    onCount,
    onContainers,
  });
  const own = ownOf(options, loop);
  const report = new Report({ ...own, use, client, caches, judge, pass, checkpoint, docker, seen, log });
  const sources = { known: knowledge.settled.bind(knowledge), namespaces, pods: new Pods(client) };
  const socket = socketOf(options, sources, use, loop);
  const { cniPlugin: plugin, directories, run = runProgram } = options;
  const sweep = new FirstSweep({ plugin, directories, run, log });
  const available = new NetworkAvailable({ client, node, log });
  countInformers(metrics, caches, namespaces);
  return {
    caches,
    checkpoint,
    cni,
    namespaces,
    pass,
    knowledge,
    report,
    socket,
    sweep,
    available,
    use,
    record,
  };
}

const countInformers = (metrics: Metrics, caches: Caches, { informer }: Namespaces) => {
  metrics.followInformers(() => [...caches.counters, { resource: 'namespaces', ...informer.counters }]);
};

/** What the report says beside the state of the other parts. */
const ownOf = (
  { node, addresses, uplinkMTU, ranges, host, probed, certificate }: AgentOptions,
  { containers }: Loop,
) => ({
  ...{ node, addresses, uplinkMTU, ranges, containers },
  probed: probed ?? (() => undefined),
  certificate: certificate ?? (() => undefined),
  system: () => host.problems,
});

function checkpointOf({ directories, metrics, log }: AgentOptions, loop: Loop): CheckpointFile {
  const checkpoint: CheckpointFile = new CheckpointFile({
    dir: directories.stateDir,
    log,
    onProblem: () => {
      metrics.checkpoint(checkpoint.problem !== undefined);
      loop.add('report');
    },
  });
  return checkpoint;
}

const conflistsOf = ({ directories, conflistMode: mode, links, log }: AgentOptions, owned: string[]) =>
  new CNIFiles({ directories, log, owned, mode, ...(links === undefined ? {} : { links }) });

const socketOf = (
  { directories, metrics, log }: AgentOptions,
  sources: Parameters<typeof answer>[1],
  use: Use,
  loop: Loop,
) =>
  new AgentSocket({
    path: socketIn(directories.runDir),
    answer: async (ask) => {
      const known = async (waitMs: number) => use.known(await sources.known(waitMs), ask);
      const choice = await answer(ask, { ...sources, known });
      const soonMs = use.answered(ask, choice);
      if (soonMs !== undefined) loop.expect(soonMs);
      return choice;
    },
    usage: () => use.text,
    onAnswer: (code) => {
      metrics.asked(code);
    },
    onDone: metrics.done.bind(metrics),
    log,
  });
