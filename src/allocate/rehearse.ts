import type { AllocationLedger } from '../api/types.ts';
import { Memory, plan, type Plan } from './plan.ts';
import { spacesName, version, type View, type Write } from './view.ts';

/** A cluster at rest: what was planned from, and the plan that had nothing more to write. */
export interface Rehearsed {
  view: View;
  plan: Plan;
}

/** It did not come to rest. The state in which it stopped says nothing. */
export class Restless extends Error {
  override name = 'Restless';
}

/**
 * Does in memory what an operator would do, until nothing is left to do: the plan's writes all succeed, and the API server
 * confirms what it is asked about. The clock stands still, so no block cools off, and no agent answers.
 * @param start as read from the API server just now
 * @throws Restless
 */
export function rehearse(start: View): Rehearsed {
  const stage = new Stage(start);
  // one round serves a page of each space, or a part of the nodes
  const mostRounds = 200 + start.nodes.size / 20;
  for (let round = 0; round < mostRounds; round++) {
    const view = stage.view();
    const planned = plan(view, stage.memory);
    if (!stage.take(planned)) return { view, plan: planned };
  }
  throw new Restless(`no end after ${Math.ceil(mostRounds)} rounds`);
}

/** The objects as the writes leave them. */
class Stage {
  readonly memory = new Memory();
  readonly #start: View;
  #config: View['config'];
  #spaces: AllocationLedger | undefined;
  readonly #pages: Map<string, AllocationLedger>;
  readonly #allocations: Map<string, View['allocations'] extends ReadonlyMap<string, infer A> ? A : never>;
  readonly #agents: Map<string, View['agents'] extends ReadonlyMap<string, infer A> ? A : never>;
  readonly #withdrawn: Set<string>;
  readonly #asked: Record<keyof View['asked'], Set<string>>;
  #version: number;

  constructor(start: View) {
    const { asked } = start;
    this.#start = start;
    this.#config = start.config;
    this.#spaces = start.ledger.spaces;
    this.#pages = new Map(start.ledger.pages);
    this.#allocations = new Map(start.allocations);
    this.#agents = new Map(start.agents);
    this.#withdrawn = new Set(start.withdrawn);
    this.#asked = {
      nodes: new Set(asked.nodes),
      networks: new Set(asked.networks),
      agents: new Set(asked.agents),
    };
    const objects = [...start.ledger.pages.values(), ...start.allocations.values(), start.ledger.spaces];
    this.#version = objects.reduce(
      (most, object) => Math.max(most, version(object)),
      Math.max(start.allocationsAt, start.ledger.readAt),
    );
  }

  /** Everything is known as of the last write. */
  view(): View {
    const spaces = this.#spaces;
    return {
      ...this.#start,
      config: this.#config,
      agents: new Map(this.#agents),
      allocations: new Map(this.#allocations),
      allocationsAt: this.#version,
      reservationsAt: this.#version,
      ledger: {
        ...(spaces === undefined ? {} : { spaces }),
        pages: new Map(this.#pages),
        readAt: this.#version,
        fresh: new Map([[spacesName, this.#version]]),
      },
      withdrawn: this.#withdrawn,
      asked: this.#asked,
    };
  }

  /** @returns whether there was something to do */
  take({ reads, writes }: Plan): boolean {
    const kinds = ['nodes', 'networks', 'agents'] as const;
    const questions = kinds.flatMap((kind) => [...reads[kind]].map((name) => ({ kind, name })));
    const newQuestions = questions.filter(({ kind, name }) => !this.#asked[kind].has(name));
    for (const { kind, name } of newQuestions) this.#asked[kind].add(name);
    for (const write of writes) this.#write(write);
    return newQuestions.length + writes.length > 0;
  }

  #metadata(name: string) {
    return { name, uid: `rehearsed-${name}`, resourceVersion: String(++this.#version) };
  }

  #write(write: Write): void {
    switch (write.kind) {
      case 'create-config':
        // the API server fills in its defaults, which are not ours to repeat: without them nothing is pinned
        throw new Restless('there is no OverlayConfig default, and the manifest has none');
      case 'write-index':
        this.#spaces = { metadata: this.#metadata(spacesName), spec: { index: write.index } };
        break;
      case 'write-page':
        this.#pages.set(write.name, { metadata: this.#metadata(write.name), spec: { page: write.page } });
        break;
      case 'delete-page':
        this.#pages.delete(write.name);
        break;
      case 'delete-agent':
        this.#agents.delete(write.node);
        break;
      case 'create-allocation':
        this.#allocations.set(write.node, { metadata: this.#metadata(write.node), spec: write.spec });
        break;
      case 'update-allocation': {
        const { metadata } = write.over;
        const resourceVersion = String(++this.#version);
        this.#allocations.set(write.node, { metadata: { ...metadata, resourceVersion }, spec: write.spec });
        break;
      }
      case 'delete-allocation':
        this.#allocations.delete(write.node);
        break;
      case 'confirm-absent':
        break;
    }
    if ('withdraws' in write) for (const mark of write.withdraws) this.#withdrawn.add(mark);
  }
}
