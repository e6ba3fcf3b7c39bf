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
  /** Of the conflists; by default that of the file that is there, and 0644 of a new one. */
  conflistMode?: number | undefined;
  /** File of the CNI plugin, to sweep with. */
  cniPlugin: string;
  client: Client;
  kernel: Kernel;
  /** Names of the node's links now; by default those of this process's network namespace. */
  links?: () => ReadonlySet<string>;
  run?: Run;
  /** Bytes, of the links by which packets leave to these addresses of other nodes. */
  uplinkMTU: (peers: readonly string[]) => Promise<number>;
  /** Absent where no Docker engine is to be looked for. */
  docker?: Docker | undefined;
  host: Pick<Host, 'problems' | 'look'>;
  ranges: Pick<OwnRanges, 'said'>;
  metrics: Metrics;
  log: Log;
}

/** What parts ask of the agent's loop. */
interface Loop {
  add: (work: 'report' | 'checkpoint') => void;
  /** A container is about to come: it is counted after so many milliseconds. */
  expect: (soonMs: number) => void;
  containers: () => ContainerHealth;
}

/** Makes an agent's parts, from the checkpoint on, each with those that it needs. */
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
  const { kernel } = options;
  const known = { judge, caches, cni, checkpoint, docker, namespaces, seen, metrics };
  const pass = new Pass(node, { ...known, kernel, last: last?.snapshot });
  const knowledge = new Knowledge({ pass, caches, judge, cni });
  const { addresses, uplinkMTU, ranges, host, links } = options;
  const onCount = metrics.used.bind(metrics);
  const onContainers = metrics.contains.bind(metrics);
  const record = () => {
    pass.save();
    checkpoint.flush();
    return checkpoint.problem === undefined;
  };
  const use = new Use({ ...options.directories, links, docker, caches, pass, record, onCount, onContainers });
  const { containers } = loop;
  const own = { node, addresses, uplinkMTU, ranges, containers, system: () => host.problems };
  const report = new Report({ ...own, use, client, caches, judge, pass, checkpoint, docker, seen, log });
  const sources = { known: () => knowledge.settled(), namespaces, pods: new Pods(client) };
  const socket = socketOf(options, sources, use, loop);
  const { cniPlugin: plugin, directories, run = runProgram } = options;
  const sweep = new FirstSweep({ plugin, directories, run, log });
  const available = new NetworkAvailable({ client, node, log });
  metrics.followInformers(() => [
    ...caches.counters,
    { resource: 'namespaces', ...namespaces.informer.counters },
  ]);
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
      const known = async () => use.known(await sources.known(), ask);
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
