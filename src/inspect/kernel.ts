import { keptDifferences } from './consistency.ts';
import { readKept } from './kept.ts';
import type { Difference } from '../dataplane/difference.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { messageOf } from '../error.ts';
import { lookAt } from '../linux/look.ts';
import { readSwitch, type ReadSwitch } from '../linux/ipv6.ts';
import type { Run } from '../linux/run.ts';
import { readAttachments } from '../containers/attachments.ts';
import type { NodeKernel } from '../rows/row.ts';

/** The pause between two readings. A change in progress appears in one of them, a real difference in both. */
const pauseMs = 300;
/** How long an answer is reused, unless the options say otherwise. A late answer then serves the next question. */
const usuallyKeptMs = 2_000;
/** The most differences that are listed. The others are only counted. */
const mostDifferences = 1_000;

interface Options {
  node: string;
  version: string;
  stateDir: string;
  leaseDir: string;
  /** The snapshot of the last pass. */
  snapshot: () => Snapshot | undefined;
  run: Run;
  sysctl?: ReadSwitch;
  links?: () => ReadonlySet<string>;
  keptMs?: number | undefined;
}

/** Lists how a node's kernel, records and leases differ from the desired state. It changes nothing. */
export class KernelListing {
  readonly #options: Options;
  /** The listing in progress. It also answers the questions that arrive meanwhile and shortly after. */
  #pending: Promise<NodeKernel> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  list(): Promise<NodeKernel> {
    this.#pending ??= this.#list().finally(() => {
      const timer = setTimeout(() => {
        this.#pending = undefined;
      }, this.#options.keptMs ?? usuallyKeptMs);
      timer.unref();
    });
    return this.#pending;
  }

  async #list(): Promise<NodeKernel> {
    const { node, version, snapshot } = this.#options;
    const wanted = snapshot();
    const about = { node, version, revision: (wanted && ownAllocation(wanted)?.revision) ?? 0, left: 0 };
    if (wanted === undefined)
      return { ...about, differences: [], problems: ['the agent knows nothing yet: no pass has begun'] };
    try {
      const first = await this.#look(wanted);
      if (first.differences.length === 0) return { ...about, ...first };
      // a pass may have been in progress, or a container starting
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const { differences, problems } = await this.#look(snapshot() ?? wanted);
      const before = new Set(first.differences.map(textOf));
      const lasting = differences.filter((one) => before.has(textOf(one)));
      return {
        ...about,
        differences: lasting.slice(0, mostDifferences),
        left: Math.max(0, lasting.length - mostDifferences),
        problems,
      };
    } catch (error) {
      return { ...about, differences: [], problems: [messageOf(error)] };
    }
  }

  async #look(wanted: Snapshot): Promise<{ differences: Difference[]; problems: string[] }> {
    const { stateDir, leaseDir, links, run, sysctl = readSwitch } = this.#options;
    const attachments = () => readAttachments(stateDir);
    const { differences, problems } = await lookAt({ run, sysctl, attachments }, wanted);
    const allocated = ownAllocation(wanted)?.networks ?? [];
    const kept = readKept(
      { stateDir, leaseDir, links },
      wanted.networks.map(({ metadata }) => metadata.name),
    );
    return {
      differences: [...differences, ...keptDifferences(kept, allocated)],
      problems: [...problems, ...kept.problems],
    };
  }
}

const textOf = ({ is, kind, object, message }: Difference): string => [is, kind, object, message].join('\n');
