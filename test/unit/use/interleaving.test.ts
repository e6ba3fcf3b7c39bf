import { jest } from '@jest/globals';
import fc from 'fast-check';
import type { Known } from '../../../src/containers/choose.ts';
import { joined, UseBed } from '../../support/usebed.ts';

type Step =
  | { kind: 'ask' | 'answer' | 'start' | 'stop'; container: number }
  | { kind: 'look' | 'pass' | 'save' | 'restart' | 'delete' | 'drain' | 'undrain' | 'disk' }
  | { kind: 'wait'; seconds: number };

const container = fc.integer({ min: 0, max: 2 });
const of = <K extends string>(kind: K) => fc.constant({ kind });
const step: fc.Arbitrary<Step> = fc.oneof(
  ...(['ask', 'answer', 'start', 'stop'] as const).map((kind) => ({
    weight: kind === 'stop' ? 2 : 4,
    arbitrary: fc.record({ kind: fc.constant(kind), container }),
  })),
  { weight: 8, arbitrary: of('look') },
  { weight: 4, arbitrary: of('pass') },
  { weight: 3, arbitrary: of('restart') },
  { weight: 2, arbitrary: of('save') },
  { weight: 2, arbitrary: of('delete') },
  { weight: 3, arbitrary: of('drain') },
  of('undrain'),
  of('disk'),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 12 }) }),
  },
);

const old = '9.0.1.0/24';
const blocks = new Map([
  ['9.0.0.0/8', old],
  ['10.0.0.0/8', '10.0.1.0/24'],
]);

/** A node whose agent is killed and starts again, while a network drains or is deleted and containers come and go. */
class Node {
  readonly bed = new UseBed();
  /** Containers that have asked: what they were going to be answered. */
  readonly #asking = new Map<number, { block: string | undefined; at: number }>();
  /** Containers whose plugin has its answer, and those that run: the block that they have an address of. */
  readonly #told = new Map<number, { block: string; at: number }>();
  readonly #runs = new Map<number, string>();
  #disk: Known['snapshot'];
  #generation = 1;
  restarts = 0;

  constructor() {
    const { bed } = this;
    this.#entries('Active');
    bed.shown = bed.snapshot();
    this.#disk = bed.shown;
    bed.use = bed.agent(performance.now());
  }

  async perform(step: Step): Promise<void> {
    const { bed } = this;
    switch (step.kind) {
      case 'ask':
        this.#ask(step.container);
        break;
      case 'answer':
        this.#answer(step.container);
        break;
      case 'start': {
        const told = this.#told.get(step.container);
        if (told !== undefined) this.#start(step.container, told.block);
        break;
      }
      case 'stop':
        if (this.#runs.delete(step.container)) bed.detach(String(step.container));
        break;
      case 'look':
        await this.#look();
        break;
      case 'pass':
        bed.shown = bed.snapshot();
        break;
      case 'save':
        if (bed.recorded !== undefined) this.#disk = bed.shown!;
        break;
      case 'disk':
        bed.recorded = bed.recorded === undefined ? [] : undefined;
        break;
      case 'restart':
        // its plugin gets no answer; one that has its answer goes on
        this.#asking.clear();
        bed.shown = this.#disk;
        bed.use = bed.agent(performance.now());
        this.restarts++;
        break;
      case 'delete':
        bed.remove();
        break;
      case 'drain':
        this.#entries('Draining');
        break;
      case 'undrain':
        this.#entries('Active');
        break;
      case 'wait':
        for (let second = 0; second < step.seconds; second++) this.#second();
        break;
    }
  }

  /** Blocks that containers have an address of, or are about to have. */
  get used(): string[] {
    return [...[...this.#told.values()].map(({ block }) => block), ...this.#runs.values()];
  }

  /** The operator was told, at some time, that nothing uses the network that is being deleted. */
  mayGo = false;
  /** The generation of which the operator was told that nothing uses the entry that drains. */
  #drained: number | undefined;

  get mayLose(): boolean {
    return this.#drained === this.bed.network.metadata.generation;
  }

  async #look(): Promise<void> {
    const { bed } = this;
    const before = bed.recorded?.length;
    await bed.use.look();
    if (bed.recorded !== undefined && bed.recorded.length !== before) this.#disk = bed.recorded.at(-1)!;
    const { inUse, users, draining } = bed.use.reported;
    const [said, drains] = [users.get('dcos'), draining.get('dcos')];
    bed.status = {
      networks: [
        {
          name: 'dcos',
          state: 'OK',
          ...(inUse?.has('dcos') === true ? { inUse: true } : {}),
          ...(said && { users: said }),
          ...(drains && { draining: [...drains] }),
        },
      ],
    };
    const { generation, deletionTimestamp } = bed.network.metadata;
    if (said?.count === 0 && said.deletion === deletionTimestamp) this.mayGo = true;
    const answer = drains?.find(({ cidr }) => cidr === old);
    if (answer?.count === 0 && answer.generation === generation) this.#drained = generation;
  }

  #ask(id: number): void {
    if (this.#told.has(id) || this.#runs.has(id)) return;
    const { bed } = this;
    const snapshot = bed.shown!;
    const known = bed.use.known({ snapshot, idle: new Map(), failed: new Map() }, nameOf(id)) as Known;
    const entry = snapshot.networks[0]!.spec.subnets.find(({ state }) => state === 'Active');
    const isClosed = known.closing?.has('dcos') === true;
    this.#asking.set(id, {
      block: isClosed ? undefined : blocks.get(entry?.cidr ?? ''),
      at: performance.now(),
    });
  }

  #answer(id: number): void {
    const asking = this.#asking.get(id);
    if (asking === undefined) return;
    this.#asking.delete(id);
    const { block } = asking;
    this.bed.use.answered(nameOf(id), block === undefined ? { code: 102, msg: 'no' } : joined('dcos', block));
    if (block !== undefined) this.#told.set(id, { block, at: performance.now() });
  }

  #start(id: number, block: string): void {
    this.#told.delete(id);
    this.#runs.set(id, block);
    this.bed.attach(String(id), `web-${id}`, block.replace('0/24', String(id + 2)));
  }

  /** The plugin gives up after ten seconds, with and without an answer. */
  #second(): void {
    jest.advanceTimersByTime(1_000);
    for (const [id, { at }] of this.#told) if (at + 9_500 < performance.now()) this.#told.delete(id);
    for (const [id, { at }] of this.#asking) if (at + 9_500 < performance.now()) this.#asking.delete(id);
  }

  #entries(state: 'Active' | 'Draining'): void {
    const { metadata, spec } = this.bed.network;
    this.bed.network = {
      ...this.bed.network,
      metadata: { ...metadata, generation: this.#generation++ },
      spec: {
        ...spec,
        subnets: [
          { cidr: '9.0.0.0/8', prefix: 24, state },
          { cidr: '10.0.0.0/8', prefix: 24, state: 'Active' },
        ],
      },
      status: {
        capacity: [...blocks.keys()].map((cidr) => ({
          ...{ cidr, blocks: 1, held: 1, releasing: 0, cooling: 0, quarantined: 0, free: 0 },
        })),
      },
    };
  }
}

const nameOf = (id: number) => ({
  containerID: String(id),
  ifname: 'eth0',
  namespace: 'default',
  pod: `web-${id}`,
});

afterEach(() => {
  jest.useRealTimers();
});

test('however agents are killed and containers ask, none has or gets an address of what the operator was told nothing uses', async () => {
  const outcomes = { gone: 0, lost: 0, restarts: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      jest.useFakeTimers();
      const node = new Node();
      try {
        for (const each of steps) {
          await node.perform(each);
          if (node.mayGo) {
            // and so it stays: the operator may be slow
            outcomes.gone++;
            expect(node.used).toEqual([]);
          }
          if (node.mayLose) {
            outcomes.lost++;
            expect(node.used).not.toContain(old);
          }
        }
        outcomes.restarts += node.restarts;
      } finally {
        node.bed.drop();
        jest.useRealTimers();
      }
    }),
    { numRuns: 300 },
  );
  // it was tried, not skipped: usually 400, 150 and 750 times, and once 185 times in place of 400
  expect(outcomes.gone).toBeGreaterThan(50);
  expect(outcomes.lost).toBeGreaterThan(10);
  expect(outcomes.restarts).toBeGreaterThan(50);
});
