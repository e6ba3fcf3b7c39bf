import { release } from 'node:os';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { connectionsFull } from '../linux/connections.ts';
import { linkNames } from '../linux/links.ts';
import { lowNeighbourLimits } from '../linux/neighbours.ts';
import { interferences, type Interference } from '../linux/interference.ts';
import { run as runProgram, type Run } from '../linux/run.ts';
import { switchedOff } from '../linux/system.ts';
import type { Log } from '../log.ts';
import { bridgeWildcards, linkPrefix } from '../net/name.ts';
import { passingOn } from './passing.ts';
import { looked, type Problem } from './problem.ts';
import type { OwnRanges } from './ranges.ts';
import { messageOf } from '../error.ts';

/** Limits how often other programs' tables are read: at most so often, and for a hundredth of the time. */
const restMs = 60_000;
const restFactor = 100;

/** kube-proxy's link in IPVS mode; it has every Service's address. */
const ipvsLink = 'kube-ipvs0';

const oldest = [5, 10] as const;

/** Looks for problems of the node outside the data path. It changes nothing. */
export class Host {
  readonly #log: Log;
  readonly #run: Run;
  readonly #links: () => ReadonlySet<string>;
  readonly #release: string;
  readonly #sysctls: string;
  readonly #ranges: Pick<OwnRanges, 'look' | 'problems'> | undefined;
  #overlaps: Problem[] = [];
  #interfering: Problem[] = [];
  #ipvs: Problem[] = [];
  #full: Problem[] = [];
  #logged = '';

  /** @param options.links, release, sysctls this machine's own by default */
  constructor(options: {
    log: Log;
    run?: Run;
    links?: () => ReadonlySet<string>;
    release?: string;
    sysctls?: string;
    ranges?: Pick<OwnRanges, 'look' | 'problems'>;
  }) {
    this.#log = options.log;
    this.#run = options.run ?? runProgram;
    this.#links = options.links ?? linkNames;
    this.#release = options.release ?? release();
    this.#sysctls = options.sysctls ?? '/proc/sys';
    this.#ranges = options.ranges;
  }

  /** All problems: sysctls as they are now, the rest as of the last `look`. */
  get problems(): Problem[] {
    const off = switchedOff(this.#sysctls).map((message): Problem => ({ reason: 'SwitchedOff', message }));
    const low = lowNeighbourLimits(this.#sysctls).map((message): Problem => ({
      reason: 'NeighbourLimitLow',
      message,
    }));
    return [
      ...off,
      ...this.#overlaps,
      ...this.#interfering,
      ...kernelProblem(this.#release),
      ...this.#ipvs,
      ...this.#full,
      ...low,
    ];
  }

  /**
   * Checks links, the node's own subnets and routes, and other firewalls. Returns the time in ms after which to check
   * again.
   */
  async look(snapshot: Snapshot | undefined): Promise<number> {
    const start = performance.now();
    this.#ipvs = snapshot === undefined ? [] : ipvsProblem(snapshot, this.#links());
    // not each time that problems are asked for: it comes and goes with every connection
    const full = connectionsFull(this.#sysctls);
    this.#full = full === undefined ? [] : [{ reason: 'ConnectionsFull', message: full }];
    this.#overlaps = await this.#lookAtRanges(snapshot);
    const packets = snapshot === undefined ? [] : passingOn(snapshot);
    try {
      const found = packets.length === 0 ? [] : await interferences(this.#run, packets);
      this.#interfering = found.map((one) =>
        one.deed === 'translate' ? maskProblem(one) : refusalProblem(one, snapshot?.config.port ?? 0),
      );
    } catch (error) {
      const message = `whether another firewall cuts or masquerades pods cannot be told: ${messageOf(error)}`;
      this.#interfering = [{ reason: 'FirewallUnread', message }];
    }
    this.#logProblems();
    return Math.max(restMs, restFactor * (performance.now() - start));
  }

  async #lookAtRanges(snapshot: Snapshot | undefined): Promise<Problem[]> {
    if (this.#ranges === undefined) return [];
    try {
      await this.#ranges.look();
    } catch (error) {
      return [{ reason: 'RangesUnread', message: `the node's own subnets and routes: ${messageOf(error)}` }];
    }
    return this.#ranges.problems(snapshot);
  }

  #logProblems(): void {
    const { problems } = this;
    const text = JSON.stringify(problems);
    if (text === this.#logged) return;
    for (const { reason, message } of problems)
      this.#log.warn('the node is not as the data path needs it', {
        ...looked[reason],
        output: message,
        reason,
      });
    if (problems.length === 0 && this.#logged !== '') this.#log.info('the node is as the data path needs it');
    this.#logged = text;
  }
}

function kernelProblem(release: string): Problem[] {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return [];
  const message = `the kernel is ${release}; overlaynet needs Linux ${oldest.join('.')} or later: what fails here is not tested`;
  return [{ reason: 'KernelTooOld', message }];
}

/** In IPVS mode a Service's packets reach a pod of the same node without passing the rules that isolate networks. */
function ipvsProblem({ networks }: Snapshot, links: ReadonlySet<string>): Problem[] {
  const isolated = networks.filter(({ spec }) => spec.isolation?.mode === 'Isolated');
  if (isolated.length === 0 || !links.has(ipvsLink)) return [];
  const names = isolated.map(({ metadata }) => metadata.name).join(', ');
  const message =
    `kube-proxy runs in IPVS mode (link ${ipvsLink}): by a Service's address pods of this node reach each other whatever ` +
    `the isolation of ${names} says; use kube-proxy's mode nftables or iptables`;
  return [{ reason: 'IPVS', message }];
}

function refusalProblem({ table, chain, what }: Interference, port: number): Problem {
  const trusted = [linkPrefix.cni, linkPrefix.docker, linkPrefix.tunnel];
  const remedy = / firewalld$/.test(table)
    ? `firewall-cmd --permanent --zone=trusted ${trusted.map((prefix) => `--add-interface=${prefix}+`).join(' ')}; ` +
      `firewall-cmd --permanent --add-port=${port}/udp (in the uplink's zone); firewall-cmd --reload`
    : `have that table accept what comes by the links ${bridgeWildcards.join(', ')} and ${linkPrefix.tunnel}*, ` +
      `and UDP port ${port}`;
  return {
    reason: 'FirewallRefuses',
    message: `the chain ${chain} of nftables' table ${table} refuses ${what.join(', ')}: ${remedy}`,
  };
}

/** Our iptables rules do not prevent that: each base chain of the hook is run until one translates. */
function maskProblem({ table, chain, what }: Interference): Problem {
  const insert = `nft insert rule ${table} ${chain} oifname`;
  const remedy = [`${linkPrefix.tunnel}*`, ...bridgeWildcards]
    .map((links) => `${insert} "${links}" accept`)
    .join('; ');
  return {
    reason: 'Masquerades',
    message:
      `the chain ${chain} of nftables' table ${table} masquerades ${what.join(', ')}: receivers, and the isolation of ` +
      `networks, go by the source; have it leave out what leaves by these links: ${remedy}`,
  };
}
