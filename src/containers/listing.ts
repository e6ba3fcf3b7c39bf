import { statSync } from 'node:fs';
import { join } from 'node:path';
import { attachmentsIn } from '../host/directories.ts';
import type { Attachment } from '../dataplane/attachment.ts';
import type { Engine, Member } from '../docker/engine.ts';
import { NoEngine } from '../docker/socket.ts';
import { isOurs } from '../docker/networks.ts';
import type { Run } from '../linux/run.ts';
import { dockerBridge } from '../net/name.ts';
import type { ContainerRow, NodeContainers } from '../rows/row.ts';
import { readAttachments, recordFile } from './attachments.ts';
import { messageOf } from '../error.ts';

type Row = Omit<ContainerRow, 'node'>;

/**
 * Lists the containers on a node's networks, from the CNI plugin's records and the Docker engine, and compares them with the
 * kernel.
 */
export class ContainerListing {
  readonly #options: {
    node: string;
    version: string;
    stateDir: string;
    /** Absent if no Docker engine should be looked for. */
    engine?: Pick<Engine, 'networks' | 'members'> | undefined;
    run: Run;
  };
  /** The listing in progress. It also answers the questions that arrive meanwhile. */
  #pending: Promise<NodeContainers> | undefined;

  constructor(options: {
    node: string;
    version: string;
    stateDir: string;
    engine?: Pick<Engine, 'networks' | 'members'> | undefined;
    run: Run;
  }) {
    this.#options = options;
  }

  list(): Promise<NodeContainers> {
    this.#pending ??= this.#list().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #list(): Promise<NodeContainers> {
    const { node, version } = this.#options;
    const problems: string[] = [];
    const [recorded, docker] = await Promise.all([this.#recorded(problems), this.#ofDocker(problems)]);
    return { node, version, containers: [...recorded, ...docker], problems };
  }

  async #recorded(problems: string[]): Promise<Row[]> {
    const { stateDir } = this.#options;
    const { attachments, problems: unread } = readAttachments(stateDir);
    problems.push(...unread);
    if (attachments.length === 0) return [];
    const masters = await this.#masters(problems);
    return attachments.flatMap((attachment) => rowsOf(attachment, joinedAt(stateDir, attachment), masters));
  }

  /** The bridge of each container's link, by the link's name; undefined if the kernel cannot be asked. */
  async #masters(problems: string[]): Promise<ReadonlyMap<string, string> | undefined> {
    const links = await this.#json<{ ifname: string; master?: string }>(
      ['ip', '-j', 'link', 'show', 'type', 'veth'],
      problems,
    );
    return links && new Map(links.map(({ ifname, master = '' }) => [ifname, master]));
  }

  async #ofDocker(problems: string[]): Promise<Row[]> {
    const { engine } = this.#options;
    if (engine === undefined) return [];
    try {
      const ours = (await engine.networks()).filter(isOurs);
      const each = await Promise.all(
        ours.map(async ({ Id, Name }) => {
          const members = await engine.members(Id, Name);
          const seen =
            members.length === 0 ? undefined : await this.#forwarding(dockerBridge(Name), problems);
          return members.map((member) => dockerRow(Name, member, seen));
        }),
      );
      return each.flat();
    } catch (error) {
      if (!(error instanceof NoEngine)) problems.push(`Docker: ${messageOf(error)}`);
      return [];
    }
  }

  /** The link behind which a bridge recently saw each hardware address. */
  async #forwarding(bridge: string, problems: string[]): Promise<ReadonlyMap<string, string> | undefined> {
    const entries = await this.#json<{ mac: string; ifname: string; state?: string }>(
      ['bridge', '-j', 'fdb', 'show', 'br', bridge],
      problems,
    );
    const learned = entries?.filter(({ state }) => state !== 'permanent');
    return learned && new Map(learned.map(({ mac, ifname }) => [mac, ifname]));
  }

  async #json<T>([program, ...args]: [string, ...string[]], problems: string[]): Promise<T[] | undefined> {
    try {
      const { code, stdout, stderr } = await this.#options.run(program, args, { timeoutMs: 2_000 });
      if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`);
      return stdout.trim() === '' ? [] : (JSON.parse(stdout) as T[]);
    } catch (error) {
      problems.push(messageOf(error));
      return undefined;
    }
  }
}

/** The time when a container joined: the plugin writes the record then. */
function joinedAt(stateDir: string, attachment: Attachment): string {
  const file = join(attachmentsIn(stateDir), recordFile(attachment));
  return statSync(file, { throwIfNoEntry: false })?.mtime.toISOString() ?? '';
}

function rowsOf(
  { containerID, namespace, pod, interfaces }: Attachment,
  since: string,
  masters: ReadonlyMap<string, string> | undefined,
): Row[] {
  return interfaces.map(({ network, name, host, mac, bridge, addresses }) => ({
    network,
    addresses,
    mac,
    interface: name,
    hostLink: host,
    runtime: 'CNI',
    id: containerID,
    ...(namespace === undefined ? {} : { namespace }),
    ...(pod === undefined ? {} : { pod }),
    since,
    kernel: masters === undefined ? 'Unknown' : masters.get(host) === bridge ? 'Present' : 'Missing',
  }));
}

/**
 * A row for a Docker container. The engine does not say which link a container has, and a bridge forgets a MAC address after
 * five minutes without a packet.
 */
function dockerRow(network: string, member: Member, seen: ReadonlyMap<string, string> | undefined): Row {
  const { id, name, mac, addresses, created } = member;
  const hostLink = seen?.get(mac) ?? '';
  return {
    network,
    addresses,
    mac,
    interface: '',
    hostLink,
    runtime: 'Docker',
    id,
    name,
    since: created,
    kernel: hostLink === '' ? 'Unknown' : 'Present',
  };
}
