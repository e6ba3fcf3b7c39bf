import type { Failure } from '../dataplane/state.ts';
import { dockerBridge } from '../net/name.ts';
import {
  blocksLabel,
  bridgeOption,
  comparedOptions,
  isOurs,
  type DockerNetwork,
  type NetworkShape,
  type WantedNetwork,
} from './networks.ts';

/** Names of the containers that refer to a network. */
export interface Users {
  running: string[];
  /** Stopped ones: a network made anew has another id, and Docker would not start them. */
  stopped: string[];
}

export type Step =
  { kind: 'remove'; network: string; id: string } | { kind: 'create'; network: string; shape: NetworkShape };

export interface Plan {
  /** In order: what goes may have what comes in its place. */
  steps: Step[];
  /** What stands in the way, and is not ours to change. */
  failures: Failure[];
  /** Networks that stay, though they should go or change, until containers leave them. */
  blocked: Failure[];
}

/** Networks of ours that should go or change: only of these it matters who uses them. */
export const outdated = (
  wanted: readonly WantedNetwork[],
  networks: readonly DockerNetwork[],
  links: ReadonlySet<string>,
): DockerNetwork[] =>
  networks.filter(isOurs).filter((network) => {
    const want = wanted.find(({ name }) => name === network.Name);
    return want === undefined || !links.has(dockerBridge(want.name)) || differences(want, network).length > 0;
  });

/**
 * From what the engine has to what it should have. A network that containers use is never removed; nothing that lacks
 * our label is ever touched.
 * @param links names of all links of this node
 * @param users by network id, of those that are `outdated`
 */
export function planNetworks(
  wanted: readonly WantedNetwork[],
  networks: readonly DockerNetwork[],
  links: ReadonlySet<string>,
  users: ReadonlyMap<string, Users>,
): Plan {
  const plan: Plan = { steps: [], failures: [], blocked: [] };
  const ours = networks.filter(isOurs);
  for (const network of ours) {
    if (wanted.some(({ name }) => name === network.Name)) continue;
    const { running } = users.get(network.Id) ?? nobody;
    if (running.length === 0) plan.steps.push(removal(network));
    else
      plan.blocked.push({
        network: network.Name,
        message: `Docker: network ${network.Name} is not wanted here any more; it is removed once these containers have left it: ${list(running)}`,
      });
  }
  for (const want of wanted) {
    const seen = ours.find(({ Name }) => Name === want.name);
    const bridged = links.has(dockerBridge(want.name));
    if (seen !== undefined) change(want, seen, bridged, users.get(seen.Id) ?? nobody, plan);
    else if (!want.draining) create(want, networks, links, plan);
  }
  return plan;
}

const nobody: Users = { running: [], stopped: [] };

const removal = ({ Name, Id }: DockerNetwork): Step => ({ kind: 'remove', network: Name, id: Id });

function create(
  { name, shape }: WantedNetwork,
  networks: readonly DockerNetwork[],
  links: ReadonlySet<string>,
  plan: Plan,
): void {
  const bridge = dockerBridge(name);
  const namesake = networks.find(({ Name }) => Name === name);
  const holder = networks.find(({ Options }) => Options?.[bridgeOption] === bridge);
  const fail = (message: string) => plan.failures.push({ network: name, message: `Docker: ${message}` });
  if (namesake !== undefined) {
    fail(
      `a network named ${name} (${namesake.Driver}, ${namesake.Id.slice(0, 12)}) exists already and is not overlaynet's; it is left as it is`,
    );
  } else if (holder !== undefined) {
    fail(`network ${holder.Name} has the bridge ${bridge}, and is not overlaynet's; it is left as it is`);
  } else if (links.has(bridge)) {
    fail(`a link named ${bridge} exists already, and no network of Docker's has it; it is left as it is`);
  } else plan.steps.push({ kind: 'create', network: name, shape });
}

function change(want: WantedNetwork, seen: DockerNetwork, bridged: boolean, users: Users, plan: Plan): void {
  const different = differences(want, seen);
  if ((different.length === 0 && bridged) || want.draining) return;
  if (!bridged && users.running.length > 0) {
    plan.failures.push({
      network: want.name,
      message: `Docker: the bridge ${dockerBridge(want.name)} of network ${want.name} is gone, and these containers are cut off: ${list(users.running)}; restart Docker, or stop them and the network is made anew`,
    });
    return;
  }
  // on a subnet that is not the node's any more, or without a bridge, no container should start, or can; the rest can
  // wait for the stopped ones
  const anyway = !bridged || different.includes('subnet');
  const names = anyway ? users.running : [...users.running, ...users.stopped];
  if (names.length === 0) {
    plan.steps.push(removal(seen), { kind: 'create', network: want.name, shape: want.shape });
    return;
  }
  plan.blocked.push({
    network: want.name,
    message: `Docker: network ${want.name} has another ${different.join(' and ')} than it should; it is made anew once these containers have left it: ${list(names)}`,
  });
}

/** At most so many names: someone reads it. */
const mostNames = 10;

const list = (names: readonly string[]): string =>
  names.toSorted().slice(0, mostNames).join(', ') +
  (names.length > mostNames ? ` and ${names.length - mostNames} more` : '');

/** What cannot be changed once a network is there. */
function differences(want: WantedNetwork, seen: DockerNetwork): string[] {
  const subnets = ({ IPAM, Labels }: NetworkShape) =>
    JSON.stringify([
      (IPAM.Config ?? []).map(({ Subnet = '', Gateway = '' }) => `${Subnet} ${Gateway}`).toSorted(),
      Labels?.[blocksLabel],
    ]);
  const options = ({ Driver, EnableIPv4 = true, EnableIPv6, Options }: NetworkShape) =>
    JSON.stringify([Driver, EnableIPv4, EnableIPv6, ...comparedOptions.map((name) => Options?.[name] ?? '')]);
  return [
    ...(subnets(want.shape) === subnets(seen) ? [] : ['subnet']),
    ...(options(want.shape) === options(seen) ? [] : ['MTU or mode']),
  ];
}
