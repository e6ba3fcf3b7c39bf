import { defaultWarnAt, type NodeUsage } from '../api/usage.ts';
import type { AllocatedNetwork, OverlayAgentStatus, OverlayNetworkSpec } from '../api/types.ts';
import { leasedAddresses } from './leases.ts';
import type { Docker } from '../docker/docker.ts';
import type { Endpoint } from '../docker/engine.ts';
import { isWorthReporting, usageOf, usageText } from './usage.ts';

/** How often addresses are counted, and the shortest time between two updates of the status. */
const lookMs = 10_000;
const reportMs = 60_000;

/** The networks whose addresses are counted, and the receiver of the counts. */
export interface Counted {
  /** This node's networks, as applied. */
  allocated: readonly AllocatedNetwork[];
  networks: readonly { metadata: { name: string }; spec: Pick<OverlayNetworkSpec, 'warnAt'> }[];
}

interface Parts {
  leaseDir: string;
  docker: Pick<Docker, 'endpoints'> | undefined;
  /** Called with each count. */
  onCount: (usage: NodeUsage) => void;
}

/** Counts how full this node's blocks are. It counts often, but changes the status only when the difference matters. */
export class UsageCounter {
  readonly #parts: Parts;
  #reported: NodeUsage | undefined;
  #reportedAt = -Infinity;
  #last: NodeUsage = new Map();
  /** Docker's containers; undefined until an engine has answered. */
  #endpoints: readonly Endpoint[] | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    if (parts.docker === undefined) this.#endpoints = [];
  }

  /** The result of the last count. */
  get last(): NodeUsage {
    return this.#last;
  }

  /** The addresses of Docker's running containers; undefined until an engine has answered. */
  get endpoints(): readonly Endpoint[] | undefined {
    return this.#endpoints;
  }

  /** What the status should show. Undefined before the first count: the status then keeps what it has. */
  get reported(): NodeUsage | undefined {
    return this.#reported;
  }

  /**
   * Counts.
   * @param stored the present status, which an earlier agent may have written
   * @returns whether the status changes, and when to count again
   */
  async look(
    counted: Counted,
    stored: OverlayAgentStatus | undefined,
  ): Promise<{ changed: boolean; againMs: number }> {
    this.#endpoints = (await this.#parts.docker?.endpoints()) ?? this.#endpoints;
    const measured = this.#count(counted);
    const before = this.#reported ?? reportedIn(stored);
    const warnAt = (name: string) =>
      counted.networks.find(({ metadata }) => metadata.name === name)?.spec.warnAt ?? defaultWarnAt;
    const isLarge = isWorthReporting(before, measured, warnAt);
    const now = performance.now();
    if (!isLarge || now - this.#reportedAt < reportMs) {
      this.#reported = before;
      return { changed: false, againMs: lookMs };
    }
    this.#reported = measured;
    this.#reportedAt = now;
    return { changed: true, againMs: lookMs };
  }

  /** The use as text: CNI's part as it is now, Docker's part as of the last count. */
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

/** The leases of a network. Undefined if they cannot be listed: the last count stays. */
function readLeases(leaseDir: string, network: string): string[] | undefined {
  try {
    return leasedAddresses(leaseDir, network);
  } catch {
    return undefined;
  }
}

const reportedIn = (status: OverlayAgentStatus | undefined): NodeUsage =>
  new Map((status?.networks ?? []).map(({ name, usage = [] }) => [name, usage]));
