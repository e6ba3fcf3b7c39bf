import { finished } from 'node:stream/promises';
import { formatAddress, isAddress, parseAddress, readable } from '../net/address.ts';
import { cidrOf, formatCidr, parseInterface } from '../net/cidr.ts';
import type { Users } from './diff.ts';
import type { DockerNetwork, NetworkShape } from './networks.ts';
import { callText, EngineError, EngineSocket } from './socket.ts';
import { messageOf } from '../error.ts';

/** Facts that decide how networks are made. They change only when the engine restarts. */
export interface EngineFacts {
  /** `28.5.2` */
  version: string;
  /** Minor version of the API in use: 41 for 1.41. */
  minor: number;
  /** Why overlaynet cannot work with this engine. */
  unsupported: string | undefined;
  /** From which it takes networks that name no subnet: `10.64.0.0/16`. */
  pools: string[];
}

/** A running container's stay on a network. */
export interface Endpoint {
  /** Name of the network. */
  network: string;
  container: string;
  /** RFC 5952; empty while it starts. */
  addresses: string[];
}

/**
 * The newest API version whose replies this code knows (Docker 28.1, the first that reports its firewall backend).
 */
const newestKnown = 49;

/**
 * The events that are followed. Removing a stopped container gives no network event, so container events are needed
 * too; the actions leave out those that happen all the time.
 */
const watched = {
  type: ['network', 'daemon', 'container'],
  event: ['create', 'update', 'connect', 'disconnect', 'destroy', 'remove', 'prune', 'reload'],
};

/**
 * The parts of the Engine API that networks need, on its UNIX socket. Every call
 * @throws NoEngine, EngineError
 */
export class Engine {
  readonly socket: string;
  readonly #calls: EngineSocket;
  #facts: EngineFacts | undefined;

  constructor(socket: string, timeoutMs?: number) {
    this.socket = socket;
    const onAway = () => {
      this.#facts = undefined;
    };
    this.#calls = new EngineSocket(socket, { ...(timeoutMs !== undefined && { timeoutMs }), onAway });
  }

  /**
   * Facts about the engine. They are kept until the engine may be another: it was away, or its events were followed
   * anew.
   */
  async facts(): Promise<EngineFacts> {
    if (this.#facts !== undefined) return this.#facts;
    const { Version, ApiVersion, MinAPIVersion } = await this.#get<VersionReply>('/version');
    const minorOf = (text = '1.24') => Number(text.split('.')[1]);
    const minor = Math.max(minorOf(MinAPIVersion), Math.min(newestKnown, minorOf(ApiVersion)));
    const info = await this.#get<InfoReply>(`/v1.${minor}/info`);
    this.#facts = { version: Version, minor, unsupported: unsupported(info), pools: poolsOf(info) };
    return this.#facts;
  }

  async networks(): Promise<DockerNetwork[]> {
    return this.#get(await this.#versioned('/networks'));
  }

  /** The containers that use a network. */
  async users(id: string): Promise<Users> {
    const containers = await this.#containersOn(id, { all: true });
    const names = (wanted: boolean) =>
      containers.filter(({ State }) => /^(running|paused|restarting)$/.test(State) === wanted).map(nameOf);
    return { running: names(true), stopped: names(false) };
  }

  /** The addresses that running containers have, in all networks of the engine. */
  async endpoints(): Promise<Endpoint[]> {
    const containers = await this.#containers('');
    return containers.flatMap((container) =>
      Object.entries(container.NetworkSettings?.Networks ?? {}).map(([network, settings]) => ({
        network,
        container: nameOf(container),
        addresses: [settings?.IPAddress, settings?.GlobalIPv6Address].flatMap(
          (text) => readable(() => [formatAddress(parseAddress(text ?? ''))]) ?? [],
        ),
      })),
    );
  }

  /** The containers that run on a network. */
  async members(id: string, network: string): Promise<Member[]> {
    const containers = await this.#containersOn(id, { all: false });
    return containers.map(({ Id, Names, Created = 0, NetworkSettings }) => {
      const {
        IPAddress = '',
        GlobalIPv6Address = '',
        MacAddress = '',
      } = NetworkSettings?.Networks?.[network] ?? {};
      return {
        id: Id,
        name: nameOf({ Id, Names }),
        mac: MacAddress,
        addresses: [IPAddress, GlobalIPv6Address].filter(isAddress),
        created: new Date(Created * 1_000).toISOString(),
      };
    });
  }

  async create(shape: NetworkShape): Promise<void> {
    // before API 1.44, Docker accepts two networks with one name unless it is told to check
    const path = await this.#versioned('/networks/create');
    await this.#calls.request('POST', path, { CheckDuplicate: true, ...shape });
  }

  async remove(id: string): Promise<void> {
    await this.#calls.request('DELETE', await this.#versioned(`/networks/${id}`));
  }

  /**
   * Calls `onEvent` for each event that may change networks or their users, until the engine or the signal ends it.
   * @param onOpen called when the stream is open; no later event is missed
   */
  async follow(onOpen: () => void, onEvent: () => void, signal: AbortSignal): Promise<void> {
    this.#facts = undefined;
    const filters = encodeURIComponent(JSON.stringify(watched));
    const path = await this.#versioned(`/events?filters=${filters}`);
    const reply = await this.#calls.open('GET', path, { signal });
    onOpen();
    reply.on('data', onEvent);
    await finished(reply);
  }

  /** @param options.all stopped containers, too */
  #containersOn(id: string, { all }: { all: boolean }): Promise<ContainerReply[]> {
    const filters = encodeURIComponent(JSON.stringify({ network: [id] }));
    return this.#containers(`?${all ? 'all=true&' : ''}filters=${filters}`);
  }

  async #containers(query: string): Promise<ContainerReply[]> {
    return this.#get<ContainerReply[]>(await this.#versioned(`/containers/json${query}`));
  }

  /** Prefixes a path with the API version (`/v1.41/networks`), because Docker phases out unversioned paths. */
  async #versioned(path: string): Promise<string> {
    return `/v1.${(await this.facts()).minor}${path}`;
  }

  async #get<T>(path: string): Promise<T> {
    const reply = await this.#calls.request('GET', path);
    try {
      return JSON.parse(reply) as T;
    } catch (cause) {
      const what = callText('GET', path);
      throw new EngineError(`its answer cannot be understood: ${messageOf(cause)} (${what})`, {
        cause,
      });
    }
  }
}

/** @param socket undefined or empty: there is to be none */
export const engineAt = (socket: string | undefined): Engine | undefined =>
  socket === undefined || socket === '' ? undefined : new Engine(socket);

interface VersionReply {
  Version: string;
  ApiVersion: string;
  MinAPIVersion?: string;
}

interface InfoReply {
  FirewallBackend?: { Driver: string } | null;
  SecurityOptions?: string[] | null;
  DefaultAddressPools?: { Base: string }[] | null;
}

/** The pools of an engine whose configuration names none; the engine does not report them (moby's ipamutils). */
const builtInPools = [
  ...['172.17.0.0/16', '172.18.0.0/16', '172.19.0.0/16'],
  ...['172.20.0.0/14', '172.24.0.0/14', '172.28.0.0/14', '192.168.0.0/16'],
];

/** The pools as subnets; entries that cannot be parsed are left out. */
function poolsOf({ DefaultAddressPools: configured }: InfoReply): string[] {
  if (configured === undefined || configured === null || configured.length === 0) return builtInPools;
  return configured.flatMap(({ Base }) => {
    const read = readable(() => parseInterface(Base));
    return read === undefined ? [] : [formatCidr(cidrOf(read.address, read.length))];
  });
}

/** A running container on a network. */
export interface Member {
  id: string;
  name: string;
  mac: string;
  addresses: string[];
  /** When it was created, not when it was last started. */
  created: string;
}

interface ContainerReply {
  Id: string;
  Names: string[];
  State: string;
  /** Seconds since the epoch. */
  Created?: number;
  NetworkSettings?: {
    Networks?: Record<
      string,
      { IPAddress?: string; GlobalIPv6Address?: string; MacAddress?: string } | null
    > | null;
  } | null;
}

const nameOf = ({ Id, Names }: Pick<ContainerReply, 'Id' | 'Names'>): string =>
  (Names[0] ?? Id.slice(0, 12)).replace(/^\//, '');

/** Why networks of this engine cannot be overlaynet's; undefined if they can. */
export function unsupported({ FirewallBackend, SecurityOptions }: InfoReply): string | undefined {
  if (FirewallBackend?.Driver.startsWith('nftables') === true) {
    return 'its firewall backend is nftables, where the rules that let overlays pass have no say; set "firewall-backend": "iptables" in its daemon.json';
  }
  if (SecurityOptions?.some((option) => option.startsWith('name=rootless')) === true) {
    return 'it is rootless: its bridges are not in the node’s network namespace';
  }
  return undefined;
}
