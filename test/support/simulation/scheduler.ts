import { setImmediate as turn } from 'node:timers/promises';
import type { ApiError } from '../../../src/kube/client.ts';
import type { Call, Gate } from './client.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';

/** What the way to the API server does of its own accord, each as a probability a step. */
export interface Faults {
  /** Refused, or never arrived. */
  request: number;
  /** Done, and the answer was lost. */
  answer: number;
  /** The watch ended, or is too old to go on. */
  watch: number;
}

export const noFaults: Faults = { request: 0, answer: 0, watch: 0 };

/** A running operator, as the scheduler sees it. */
export interface Process {
  readonly name: string;
  skewMs: number;
  /** Stopped, as by SIGSTOP: nothing of it moves. */
  asleep: boolean;
  /** How often it is chosen, against the others. */
  pace: number;
  /** How often it is a watch event that it gets, against everything else. */
  appetite: number;
  /** Kinds whose watches hang. */
  readonly stalled: Set<string>;
  /** Falls asleep in front of, or after, the first call that this is true of. */
  trap: ((call: Call, phase: 'request' | 'answer') => boolean) | undefined;
  readonly ApiError: typeof ApiError;
}

interface Pending {
  process: Process;
  call: Call;
  phase: 'request' | 'answer' | 'events';
  /** Of a watch: how many events could come. */
  waiting: () => number;
  go: (count: number | 'end') => void;
  fail: (error: Error) => void;
}

const one = (): number => 1;

/** Releases every request, answer and event of every operator one at a time, in the order that the seed says. */
export class Scheduler implements Gate {
  faults: Faults = noFaults;
  steps = 0;
  /** Whose code runs: one at a time, until it waits for something. */
  current: Pick<Process, 'name' | 'skewMs'> = { name: '', skewMs: 0 };
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

  /** Nothing of it moves ever again. */
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

  /** Lets the code run as far as it comes without an answer. */
  async settle(): Promise<void> {
    await turn();
  }

  /** One step; false where nothing can move until time passes. */
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

  /** Steps until nothing moves or `most` are done; time stands still. */
  async drain(most: number): Promise<void> {
    while (most-- > 0) if (!(await this.step())) return;
  }

  /** The next timer fires, if it is due within so many milliseconds; false where none is. */
  async elapse(withinMs: number): Promise<boolean> {
    const timer = this.#clock.next((owner) => this.#processes.get(owner)?.asleep === false);
    if (timer === undefined || timer.at > this.#clock.now + withinMs) {
      this.#clock.now += withinMs;
      return false;
    }
    this.current = this.#processes.get(timer.owner) ?? this.current;
    this.#clock.fire(timer);
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
    this.current = process;
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
      // it was killed: its promises stay as they are
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
