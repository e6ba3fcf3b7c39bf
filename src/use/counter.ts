import { defaultWarnAt, type NodeUsage } from '../api/usage.ts';
import type { AllocatedNetwork, OverlayAgentStatus, OverlayNetworkSpec } from '../api/types.ts';
import { leasedAddresses } from './leases.ts';
import type { Docker } from '../docker/docker.ts';
import type { Endpoint } from '../docker/engine.ts';
import { isNews, usageOf, usageText } from './usage.ts';

/** How often addresses are counted, and how often at most the status tells of it. */
const lookMs = 10_000;
const sayMs = 60_000;

/** What addresses are counted of. */
export interface Counted {
  /** This node's, as it is applied. */
  allocated: readonly AllocatedNetwork[];
  networks: readonly { metadata: { name: string }; spec: Pick<OverlayNetworkSpec, 'warnAt'> }[];
}

interface Parts {
  leaseDir: string;
  docker: Pick<Docker, 'endpoints'> | undefined;
  /** Told of each count. */
  onCount: (usage: NodeUsage) => void;
}

/** How full this node's blocks are: counted often, and said only when it makes a difference. */
export class UsageCounter {
  readonly #parts: Parts;
  #said: NodeUsage | undefined;
  #saidAt = -Infinity;
  #last: NodeUsage = new Map();
  /** Undefined: an engine has not answered yet. */
  #endpoints: readonly Endpoint[] | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    if (parts.docker === undefined) this.#endpoints = [];
  }

  /** As of the last count. */
  get last(): NodeUsage {
    return this.#last;
  }

  /** What Docker's running containers have; undefined: an engine has not answered yet. */
  get endpoints(): readonly Endpoint[] | undefined {
    return this.#endpoints;
  }

  /** What the status is to say; undefined before the first count, so that what it says stays. */
  get said(): NodeUsage | undefined {
    return this.#said;
  }

  /**
   * Counts. @param stored the status as it is, where an agent before this one may have said it
   * @returns whether the status changes, and when to count again
   */
  async look(
    counted: Counted,
    stored: OverlayAgentStatus | undefined,
  ): Promise<{ news: boolean; againMs: number }> {
    this.#endpoints = (await this.#parts.docker?.endpoints()) ?? this.#endpoints;
    const measured = this.#count(counted);
    const before = this.#said ?? saidIn(stored);
    const warnAt = (name: string) =>
      counted.networks.find(({ metadata }) => metadata.name === name)?.spec.warnAt ?? defaultWarnAt;
    const news = isNews(before, measured, warnAt);
    const now = performance.now();
    if (!news || now - this.#saidAt < sayMs) {
      this.#said = before;
      return { news: false, againMs: lookMs };
    }
    this.#said = measured;
    this.#saidAt = now;
    return { news, againMs: lookMs };
  }

  /** As of now, in words; Docker's part as of the last count. */
  text(counted: Counted): string {
    return usageText(this.#count(counted));
  }

  #count({ allocated }: Counted): NodeUsage {
    const endpoints = this.#endpoints;
    this.#last = usageOf(
      allocated,
      {
        cni: (network) => readLeases(this.#parts.leaseDir, network),
        docker: (network) => endpoints?.flatMap((one) => (one.network === network ? one.addresses : [])),
      },
      this.#last,
    );
    this.#parts.onCount(this.#last);
    return this.#last;
  }
}

/** Undefined where they cannot be listed: the last count stays. */
function readLeases(leaseDir: string, network: string): string[] | undefined {
  try {
    return leasedAddresses(leaseDir, network);
  } catch {
    return undefined;
  }
}

const saidIn = (status: OverlayAgentStatus | undefined): NodeUsage =>
  new Map((status?.networks ?? []).map(({ name, usage = [] }) => [name, usage]));
