import { Agents } from './agents.ts';
import type { Clock } from './clock.ts';
import { Invariants } from './invariants.ts';
import { SimulatedOperator } from './operator.ts';
import type { Outcome, Trouble } from './outcome.ts';
import { smallPage, type Program } from './program.ts';
import type { Random } from './random.ts';
import { checkOrder, checkRest, confirmations, lowestFree } from './rest.ts';
import { noFaults, Scheduler, type Process } from './scheduler.ts';
import { MemoryServer } from './server.ts';
import { Trace } from './trace.ts';
import { Violation, type Kind } from './violation.ts';
import { World } from './world.ts';

const endless = 10_000;
/** Longer than a refused registration waits, and longer than every cooldown. */
const restMs = 45_000;

/** What an operator follows by a watch that may stall. */
const watched = [
  'nodes',
  'overlayagents',
  'overlaynetworks',
  'overlayreservations',
  'agentallocations',
  'allocationledgers',
] as const;

/** One history. Its seed decides everything that happens. */
export class History {
  readonly #seed: number;
  readonly #trouble: Trouble;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #trace = new Trace();
  readonly #server: MemoryServer;
  readonly #scheduler: Scheduler;
  readonly #agents: Agents;
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #program: Program;
  readonly #operators: SimulatedOperator[] = [];
  readonly #byName = new Map<string, SimulatedOperator>();
  #born = 0;

  constructor(options: {
    seed: number;
    random: Random;
    clock: Clock;
    program: Program;
    trouble: Trouble;
    ignored: readonly Kind[];
  }) {
    const { seed, random, clock, program, trouble, ignored } = options;
    this.#seed = seed;
    this.#trouble = trouble;
    this.#random = random;
    this.#clock = clock;
    this.#program = program;
    this.#server = new MemoryServer(() => clock.now, smallPage);
    this.#invariants = new Invariants(
      this.#server,
      trouble.hands,
      ignored,
      (actor) => this.#byName.get(actor)?.runningSince,
      () => clock.now,
    );
    this.#scheduler = new Scheduler(random, clock, this.#trace);
    this.#agents = new Agents(this.#server, random);
    this.#world = new World({
      server: this.#server,
      agents: this.#agents,
      random,
      trace: this.#trace,
      clock: () => clock.now,
      ...trouble,
    });
    this.#server.onCommit.push(({ revision, type, plural, name, actor }) => {
      this.#trace.note(revision, actor, type, plural, name);
    });
  }

  /** The process whose code is running. */
  get current(): { name: string; skewMs: number } {
    return this.#scheduler.current;
  }

  async run(): Promise<Outcome> {
    try {
      await this.#live();
      await this.#end();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#invariants.violation ??= error;
    }
    for (const { process } of this.#operators) this.#scheduler.kill(process.name);
    return {
      seed: this.#seed,
      trouble: this.#trouble,
      hash: this.#trace.hash,
      steps: this.#scheduler.steps,
      revisions: this.#server.revision,
      violation: this.#invariants.violation,
      last: this.#trace.last,
    };
  }

  async #live(): Promise<void> {
    const random = this.#random;
    if (random.chance(0.5)) {
      this.#scheduler.faults = { request: 0.05 * random.next(), answer: 0.05 * random.next(), watch: 0.01 };
    }
    this.#world.begin(random.pick(['1s', '2s'])!, 3 + random.below(3));
    const operators = random.chance(0.3) ? 3 : 2;
    for (let at = 0; at < operators; at++) this.#start(at);
    this.#operators[0]?.lead();
    for (let events = 3 + random.below(10); events > 0; events--) {
      if (random.chance(0.6)) this.#world.happen();
      if (random.chance(0.4)) this.#meddle();
      if (random.chance(0.3)) await this.#succession();
      await this.#steps(random.below(40));
      if (random.chance(0.35)) await this.#pass(random.chance(0.5) ? 400 : 3_000);
    }
  }

  /**
   * Plays a case that a Lease does not prevent: a leader sleeps before a write, another one leads for a while, then the
   * first wakes.
   */
  async #succession(): Promise<void> {
    const random = this.#random;
    const sleeper = random.pick(this.#operators)!;
    const { process } = sleeper;
    this.#trace.note('succession', process.name);
    for (const one of this.#operators) if (one !== sleeper && random.chance(0.8)) one.depose();
    sleeper.lead();
    this.#trap(process, random.chance(0.6) ? 'agentallocations' : undefined);
    for (let tries = 0; tries < 3 && !process.asleep; tries++) {
      this.#world.happen();
      await this.#pass(random.chance(0.7) ? 300 : 3_000);
    }
    process.trap = undefined;
    if (!process.asleep) return;
    const successor = random.pick(this.#operators.filter((one) => one !== sleeper))!;
    successor.lead();
    // the sleeper's allocation is recorded only in the page
    const lost = this.#trouble.hands && random.chance(0.5);
    if (lost) this.#world.happen('deletePage');
    for (let rounds = 1 + random.below(4); rounds > 0; rounds--) {
      if (random.chance(0.8)) this.#world.happen(lost && random.chance(0.5) ? 'join' : undefined);
      await this.#pass(random.chance(0.5) ? 300 : 3_000);
    }
    process.asleep = false;
    process.appetite = random.pick([0.05, 1, 20])!;
    this.#trace.note('wakes', process.name, process.appetite);
  }

  #trap(process: Process, plural: string | undefined): void {
    const phase = this.#random.chance(0.8) ? 'request' : 'answer';
    let skip = this.#random.below(4);
    process.trap = (call, now) =>
      call.writes && now === phase && (plural === undefined || call.plural === plural) && skip-- <= 0;
  }

  /** Moves everything that can move, then lets time pass, and repeats that. */
  async #pass(ms: number, most = 300): Promise<void> {
    const until = this.#clock.now + ms;
    const enough = this.#scheduler.steps + most;
    do {
      const before = this.#scheduler.steps;
      await this.#steps(endless);
      this.#agents.stepAll();
      // agents' reports must arrive before time passes
      if (this.#scheduler.steps > before) continue;
      if (this.#clock.now >= until || !(await this.#scheduler.elapse(until - this.#clock.now))) return;
    } while (this.#scheduler.steps < enough);
  }

  async #steps(most: number): Promise<void> {
    for (let done = 0; done < most; done++) {
      if (this.#random.chance(0.3)) this.#agents.stepOne();
      if (!(await this.#scheduler.step())) return;
      if (this.#invariants.violation !== undefined) throw this.#invariants.violation;
      if (this.#scheduler.steps > endless) throw new Violation('endless', `more than ${endless} steps`);
    }
  }

  #start(at: number): void {
    const process: Process = {
      name: `op${at}.${this.#born++}`,
      skewMs: this.#random.chance(0.3) ? this.#random.below(8_000) - 4_000 : 0,
      asleep: false,
      pace: 1,
      appetite: 1,
      stalled: new Set(),
      trap: undefined,
      ApiError: this.#program.ApiError,
    };
    const operator = new SimulatedOperator({
      program: this.#program,
      process,
      server: this.#server,
      scheduler: this.#scheduler,
    });
    this.#operators[at] = operator;
    this.#byName.set(process.name, operator);
  }

  /** Lets an operator lead, lose the lead, sleep, wake, hang or be killed, as the seed decides. */
  #meddle(): void {
    const random = this.#random;
    const at = random.below(this.#operators.length);
    const operator = this.#operators[at]!;
    const { process } = operator;
    const what = random.weighted({
      trap: 1.5,
      wake: 2,
      lead: 2,
      depose: 1,
      stall: 1.5,
      follow: 2,
      pace: 1,
      sleep: 0.5,
      kill: 0.4,
    });
    this.#trace.note('operator', what, process.name);
    switch (what) {
      case 'trap':
        this.#trap(process, undefined);
        operator.lead();
        if (random.chance(0.7)) random.pick(this.#operators)?.lead();
        return;
      case 'wake':
        for (const one of this.#operators)
          if (one.process.asleep && random.chance(0.7)) one.process.asleep = false;
        return;
      case 'lead':
        operator.lead();
        return;
      case 'depose':
        operator.depose();
        return;
      case 'stall':
        process.stalled.add(random.pick(watched)!);
        return;
      case 'follow':
        for (const one of this.#operators) one.process.stalled.clear();
        return;
      case 'pace':
        process.pace = random.pick([0.05, 0.3, 1, 4])!;
        process.appetite = random.pick([0.05, 1, 20])!;
        return;
      case 'sleep':
        process.asleep = true;
        return;
      case 'kill':
        this.#scheduler.kill(process.name);
        this.#start(at);
        if (random.chance(0.5)) this.#operators[at]?.lead();
    }
  }

  /** Ends all trouble, lets one operator lead while time passes, and then adds a node. */
  async #end(): Promise<void> {
    this.#trace.note('calm');
    this.#scheduler.faults = noFaults;
    this.#world.calm();
    for (const { process } of this.#operators) {
      Object.assign(process, { asleep: false, pace: 1, appetite: 1, trap: undefined });
      process.stalled.clear();
    }
    this.#random.pick(this.#operators)?.lead();
    await this.#pass(3_000);
    const leader = this.#operators.find(({ leads }) => leads);
    for (const one of this.#operators) if (one !== leader) one.depose();
    leader?.lead();
    await this.#rest();
    checkRest(this.#server, this.#trouble.hands);
    if (this.#trouble.hands) return;
    const lowest = lowestFree(this.#server);
    this.#world.join('n99');
    await this.#pass(3_000, endless);
    checkRest(this.#server, false);
    checkOrder(this.#server, 'n99', lowest);
  }

  async #rest(): Promise<void> {
    await this.#pass(restMs, endless);
    // a person confirms the deletions that the operator does not believe
    const annotations = confirmations(this.#server);
    if (Object.keys(annotations).length === 0) return;
    this.#server.patch('overlayconfigs', 'default', { metadata: { annotations } }, undefined, 'world');
    await this.#pass(restMs, endless);
  }
}
