import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type { ApiError } from '../../../src/kube/client.ts';
import type { Call, Gate } from './client.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';

/** Faults of the connection to the API server, each as a probability a step. */
export interface Faults {
  /** The request is refused, or never arrives. */
  request: number;
  /** The request succeeds, but the answer is lost. */
  answer: number;
  /** The watch ends, or its version is too old. */
  watch: number;
}

export const noFaults: Faults = { request: 0, answer: 0, watch: 0 };

/** A running operator, as the scheduler sees it. */
export interface Process {
  readonly name: string;
  skewMs: number;
  /** Stopped, as by SIGSTOP. */
  asleep: boolean;
  /** Its weight when the scheduler chooses a process. */
  pace: number;
  /** The weight of a watch event when the scheduler chooses its next step. */
  appetite: number;
  /** Kinds whose watches hang. */
  readonly stalled: Set<string>;
  /** The process falls asleep before (or after) the first call for which this returns true. */
  trap: ((call: Call, phase: 'request' | 'answer') => boolean) | undefined;
  readonly ApiError: typeof ApiError;
}

interface Pending {
  process: Process;
  call: Call;
  phase: 'request' | 'answer' | 'events';
  /** Returns the number of events that could arrive; for watches. */
  waiting: () => number;
  go: (count: number | 'end') => void;
  fail: (error: Error) => void;
}

const one = (): number => 1;

/** Releases the requests, answers and events of all operators one at a time, in an order that the seed decides. */
export class Scheduler implements Gate {
  faults: Faults = noFaults;
  steps = 0;
  /** Follows each process's code through its promises: several may have something to do when one step ends. */
  readonly #running = new AsyncLocalStorage<Process>();
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #processes = new Map<string, Process>();
  #pending: Pending[] = [];

  constructor(random: Random, clock: Clock, trace: Trace) {
    this.#random = random;
    this.#clock = clock;
    this.#trace = trace;
  }

  add(process: Process): void {
    this.#processes.set(process.name, process);
  }

  /** The process whose code runs. */
  get current(): Pick<Process, 'name' | 'skewMs'> {
    return this.#running.getStore() ?? { name: '', skewMs: 0 };
  }

  /** Runs code of a process, which also owns what the code begins and waits for. */
  as<T>(process: Process, code: () => T): T {
    return this.#running.run(process, code);
  }

  /** Kills the process: it never runs again. */
  kill(name: string): void {
    this.#processes.delete(name);
    this.#pending = this.#pending.filter(({ process }) => process.name !== name);
    this.#clock.forget(name);
  }

  request(call: Call, signal: AbortSignal | undefined): Promise<void> {
    return this.#wait(call, 'request', one, signal).then(() => undefined);
  }

  answer(call: Call, signal: AbortSignal | undefined): Promise<void> {
    return this.#wait(call, 'answer', one, signal).then(() => undefined);
  }

  events(call: Call, waiting: () => number, signal: AbortSignal): Promise<number | 'end'> {
    return this.#wait(call, 'events', waiting, signal);
  }

  /** Lets the code run until it waits for an answer. */
  async settle(): Promise<void> {
    await turn();
  }

  /** Does one step; returns false if nothing can move before time passes. */
  async step(): Promise<boolean> {
    const ready = this.#pending.filter(
      ({ process, call, waiting }) =>
        !process.asleep && (call.verb !== 'watch' || !process.stalled.has(call.plural)) && waiting() > 0,
    );
    const chosen = this.#choose(ready);
    if (chosen === undefined) return false;
    this.#release(chosen);
    await turn();
    return true;
  }

  /** Does steps until nothing moves or `most` are done. Time stands still. */
  async drain(most: number): Promise<void> {
    while (most-- > 0) if (!(await this.step())) return;
  }

  /** Fires the next timer if it is due within that many milliseconds; else returns false. */
  async elapse(withinMs: number): Promise<boolean> {
    const timer = this.#clock.next((owner) => this.#processes.get(owner)?.asleep === false);
    if (timer === undefined || timer.at > this.#clock.now + withinMs) {
      this.#clock.now += withinMs;
      return false;
    }
    const owner = this.#processes.get(timer.owner);
    if (owner !== undefined)
      this.as(owner, () => {
        this.#clock.fire(timer);
      });
    this.#trace.note('timer', timer.owner);
    await turn();
    return true;
  }

  #choose(ready: readonly Pending[]): Pending | undefined {
    const weight = ({ process, phase }: Pending) =>
      process.pace * (phase === 'events' ? process.appetite : 1);
    let rest = this.#random.next() * ready.reduce((sum, pending) => sum + weight(pending), 0);
    for (const pending of ready) {
      rest -= weight(pending);
      if (rest < 0) return pending;
    }
    return ready.at(-1);
  }

  #release(pending: Pending): void {
    const { process, call, phase } = pending;
    if (phase !== 'events' && process.trap?.(call, phase) === true) {
      process.trap = undefined;
      process.asleep = true;
      this.#trace.note('falls asleep', process.name, phase, call.verb, call.plural, call.name);
      return;
    }
    this.#pending.splice(this.#pending.indexOf(pending), 1);
    this.steps++;
    const fault = this.#fault(pending);
    if (fault !== undefined) {
      this.#trace.note(phase, process.name, call.verb, call.plural, call.name, fault.message);
      pending.fail(fault);
      return;
    }
    const { faults } = this;
    let count: number | 'end' = 1;
    if (phase === 'events') {
      const most = pending.waiting();
      count = this.#random.chance(faults.watch)
        ? 'end'
        : this.#random.chance(0.5)
          ? most
          : 1 + this.#random.below(most);
    }
    this.#trace.note(phase, process.name, call.verb, call.plural, call.name, count);
    pending.go(count);
  }

  #fault({ process, call, phase }: Pending): Error | undefined {
    if (phase === 'events' || !this.#random.chance(this.faults[phase])) return undefined;
    const refused = (status: number, reason: string) =>
      new process.ApiError(`${call.verb} ${call.plural}/${call.name}`, status, {
        reason,
        message: 'on the way',
      });
    const cut = new Error(`${call.verb} ${call.plural}/${call.name}: the connection was cut`);
    if (phase === 'answer') return this.#random.chance(0.5) ? cut : refused(500, 'InternalError');
    const kinds = [cut, refused(500, 'InternalError'), refused(429, 'TooManyRequests')];
    if (call.writes) kinds.push(refused(409, 'Conflict'));
    if (call.verb === 'watch') kinds.push(refused(410, 'Expired'));
    return this.#random.pick(kinds);
  }

  #wait(
    call: Call,
    phase: Pending['phase'],
    waiting: () => number,
    signal: AbortSignal | undefined,
  ): Promise<number | 'end'> {
    return new Promise((resolve, reject) => {
      const process = this.#processes.get(call.actor);
      // it was killed: its promises never settle
      if (process === undefined) return;
      const abort = () => {
        this.#pending.splice(this.#pending.indexOf(pending), 1);
        reject(signal?.reason as Error);
      };
      const pending: Pending = {
        process,
        call,
        phase,
        waiting,
        go: (count) => {
          signal?.removeEventListener('abort', abort);
          resolve(count);
        },
        fail: (error) => {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      };
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      signal?.addEventListener('abort', abort);
      this.#pending.push(pending);
    });
  }
}
