import type { Finding } from '../api/conditions.ts';
import type { OverlayAgent, OverlayAgentSpec, OverlayAgentStatus } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Client } from '../kube/client.ts';
import type { Result } from '../kube/queue.ts';
import { overlayAgents } from '../kube/resources.ts';
import type { Docker } from '../docker/docker.ts';
import { faultOf, Faults, type Fault, type Log } from '../log.ts';
import type { Caches } from './caches.ts';
import type { CheckpointFile } from './checkpoint.ts';
import { findingsOf, leftWithoutSocket, refusalOf, type ContainerHealth } from '../report/findings.ts';
import type { Problem } from '../host/problem.ts';
import type { Judge } from './judge.ts';
import type { Pass } from './pass.ts';
import type { OwnRanges } from '../host/ranges.ts';
import { register, registrationOf, type SeenVersion } from '../report/registration.ts';
import type { Use } from '../use/use.ts';
import { brief, renderStatus, sameStatus } from '../report/status.ts';
import { messageOf } from '../error.ts';

/** An OverlayAgent that lived this long was not deleted as a reaction to being made. */
const settledMs = 60_000;

/** Interval for checking kinds that cannot be listed, because a changed reason gives no event. */
const unlistedMs = 5_000;

/**
 * How long the status waits for kinds that are on their way. After an outage each informer comes back at its own time, and
 * every agent of the cluster would write its status for each of them. Longer than an informer's longest pause.
 */
const listingMs = 15_000;

interface Parts {
  node: string;
  addresses: string[];
  client: Client;
  uplinkMTU: (peers: readonly string[]) => Promise<number>;
  ranges: Pick<OwnRanges, 'toRegister'>;
  caches: Caches;
  judge: Pick<Judge, 'missing' | 'holding'>;
  pass: Pass;
  checkpoint: CheckpointFile;
  containers: () => ContainerHealth;
  docker: Pick<Docker, 'failures' | 'finding'> | undefined;
  seen: SeenVersion;
  /** Node settings that differ from what the data path needs. */
  system: () => Problem[];
  use: Pick<Use, 'reported'>;
  /** The condition `DataPathProbed`. */
  probed: () => Finding | undefined;
  /** SHA-256 of the certificate that the agent serves, in hexadecimal. */
  certificate: () => string | undefined;
  log: Log;
}

/** Writes the agent's OverlayAgent to the API, only when its content would change. */
export class Report {
  readonly #parts: Parts;
  #uplinkMTU: number | undefined;
  #registrationFailure: string | undefined;
  #refusal: string | undefined;
  /** When this agent first knew its OverlayAgent, by the monotonic clock. */
  #reachableAt: number | undefined;
  #holding: string | undefined;
  /** What this node was registered with when this agent started. */
  #before: OverlayAgentSpec['networks'];
  /**
   * When this process last made its OverlayAgent, how often it vanished soon after, and when it may make it again.
   */
  readonly #made = { at: -Infinity, vanished: 0, notBefore: -Infinity };

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Writes the OverlayAgent, one write after the other because they concern one object. The status reports a failed
   * registration.
   * @throws Error with the API server's words
   */
  async run(): Promise<Result | undefined> {
    const { caches, containers } = this.#parts;
    this.#logRefusal();
    this.#logHolding();
    const object = `overlayagents/${this.#parts.node}`;
    const failures: Fault[] = [];
    let waitMs = caches.synced && containers().namespaces === undefined ? Infinity : unlistedMs;
    try {
      waitMs = Math.min(waitMs, await this.#register());
    } catch (error) {
      this.#registrationFailure = `cannot register: ${messageOf(error)}`;
      failures.push({ ...faultOf(object, error, `register ${object}`), output: this.#registrationFailure });
    }
    try {
      await this.#writeStatus();
    } catch (error) {
      const output = `cannot write the status: ${messageOf(error)}`;
      failures.push({ ...faultOf(object, error, `update ${object}/status`), output });
    }
    if (failures.length > 0) throw new Faults(failures.map(({ output }) => output).join('; '), failures);
    return waitMs === Infinity ? undefined : { requeueAfterMs: waitMs };
  }

  /** The status that the OverlayAgent should have. */
  get status(): OverlayAgentStatus {
    const { caches, judge, pass, checkpoint, containers, docker, system, use, probed, certificate } =
      this.#parts;
    const { applied } = pass;
    const { missing, holding } = judge;
    const findings = findingsOf({
      allocation: caches.allocation,
      registrationFailure: this.#registrationFailure,
      unlisted: caches.problems,
      applied,
      missing,
      checkpoint,
      containers: containers(),
      docker: docker?.finding ?? leftWithoutSocket(pass.docker),
      system: system(),
      holding,
      probed: probed(),
    });
    return renderStatus({
      allocation: caches.synced ? caches.allocation?.spec : pass.held,
      applied,
      docker: docker?.failures ?? [],
      findings,
      use: use.reported,
      certificate: certificate(),
      stored: caches.agent?.status,
      now: new Date().toISOString(),
    });
  }

  /** Notes that the uplink may have another MTU now. */
  remeasure(): void {
    this.#uplinkMTU = undefined;
  }

  /**
   * Notes that the OverlayAgent was deleted. If it is deleted as fast as it is made (by the operator, for a Node that
   * is gone), this agent waits longer each time.
   */
  vanished(): void {
    const made = this.#made;
    made.vanished = Date.now() - made.at < settledMs ? made.vanished + 1 : 0;
    const wait = made.vanished > 1 ? Math.min(settledMs, 500 * 2 ** made.vanished) : 0;
    made.notBefore = Date.now() + wait;
  }

  /** Returns the time in ms after which it may be made again; Infinity if it exists. */
  async #register(): Promise<number> {
    const { node, addresses, client, uplinkMTU, ranges, caches, pass, docker, seen, log } = this.#parts;
    const { agents, agent } = caches;
    if (!agents.hasSynced) return Infinity;
    const wait = this.#made.notBefore - Date.now();
    if (agent === undefined && wait > 0) return wait;
    this.#before ??= agent?.spec.networks ?? [];
    this.#uplinkMTU ??= await uplinkMTU(peersOf(pass.snapshot));
    const { highest, wentBack } = seen.observe(caches.versions);
    const spec = registrationOf({
      addresses,
      uplinkMTU: this.#uplinkMTU,
      held: pass.held,
      // without a checkpoint and an engine that answers, blocks that an earlier agent reported may be Docker's
      docker: pass.docker ?? (docker === undefined ? [] : this.#before),
      seenResourceVersion: highest,
      restore: caches.configs.get('default')?.status?.restored?.id,
      ranges: await ranges.toRegister(),
    });
    const written = await register(client, node, spec, agent, wentBack);
    this.#registrationFailure = undefined;
    if (written !== undefined) {
      if (agent === undefined) this.#made.at = Date.now();
      agents.learn(written);
      log.info('registered', { node, addresses: addresses.join(','), uplinkMTU: spec.uplinkMTU });
    }
    return Infinity;
  }

  async #writeStatus(): Promise<void> {
    const { client, caches } = this.#parts;
    const { agent, agents } = caches;
    if (agent === undefined) return;
    this.#reachableAt ??= performance.now();
    if (caches.listing && performance.now() < this.#reachableAt + listingMs) return;
    const { status } = this;
    if (sameStatus(agent.status, status)) return;
    agents.learn(await client.updateStatus<OverlayAgent>(overlayAgents, { ...agent, status }));
  }

  #logHolding(): void {
    const { log, judge } = this.#parts;
    const text = judge.holding?.message;
    if (text === this.#holding) return;
    if (text !== undefined) {
      const output = brief([text]);
      log.warn('something stays in the data path', { object: 'data path', command: 'withdraw', output });
    } else log.info('the data path shows what the objects say again');
    this.#holding = text;
  }

  #logRefusal(): void {
    const refusal = refusalOf(this.#parts.caches.allocation);
    const text = refusal && `${refusal.reason}: ${refusal.message}`;
    if (text !== undefined && text !== this.#refusal) {
      const { log, node } = this.#parts;
      log.error('the operator refuses this registration', {
        object: `agentallocations/${node}`,
        command: `register overlayagents/${node}`,
        output: text,
      });
    }
    this.#refusal = text;
  }
}

const peersOf = (snapshot: Snapshot | undefined): string[] =>
  (snapshot?.allocations ?? []).flatMap(({ node, spec }) => (node === snapshot?.node ? [] : spec.addresses));
