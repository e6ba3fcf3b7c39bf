import { statSync } from 'node:fs';
import { join } from 'node:path';
import { attachmentsIn } from '../host/directories.ts';
import type { Attachment } from '../dataplane/attachment.ts';
import type { Engine, Member } from '../docker/engine.ts';
import { NoEngine } from '../docker/socket.ts';
import { isOurs } from '../docker/networks.ts';
import { reasonOf } from '../host/file.ts';
import type { Run } from '../linux/run.ts';
import { dockerBridge } from '../net/name.ts';
import type { ContainerRow, NodeContainers } from '../rows/row.ts';
import { readAttachments, recordFile } from './attachments.ts';

type Row = Omit<ContainerRow, 'node'>;

/** Lists the containers on a node's networks: from the CNI plugin's records and the Docker engine, held against the kernel. */
export class ContainerListing {
  readonly #options: {
    node: string;
    version: string;
    stateDir: string;
    /** Absent where no Docker engine is to be looked for. */
    engine?: Pick<Engine, 'networks' | 'members'> | undefined;
    run: Run;
  };
  /** One that is under way serves all that ask meanwhile. */
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

  /** The bridge of each container's link, by the link's name; undefined where the kernel cannot be asked. */
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
      if (!(error instanceof NoEngine)) problems.push(`Docker: ${reasonOf(error)}`);
      return [];
    }
  }

  /** The link behind which a bridge has seen each hardware address of late. */
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
      problems.push(reasonOf(error));
      return undefined;
    }
  }
}

/** The record is written when its container joins. */
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

/** Which link a container of Docker has, the engine does not say, and a bridge forgets who was silent for five minutes. */
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
