import { writeFileSync } from 'node:fs';
import { ask, joined, UseBed } from '../../support/usebed.ts';

let bed: UseBed;

beforeEach(() => {
  bed = new UseBed();
});
afterEach(() => {
  bed.drop();
});

/** The network of generation 7 has 9.0.0.0/8 draining, and this node has blocks of both. */
function drain(generation = 7): void {
  const { metadata, spec } = bed.network;
  const counts = { blocks: 1, held: 1, releasing: 0, cooling: 0, quarantined: 0, free: 0 };
  bed.network = {
    metadata: { ...metadata, generation },
    spec: {
      ...spec,
      subnets: [
        { cidr: '9.0.0.0/8', prefix: 24, state: 'Draining', removeWhenDrained: true },
        { cidr: '10.0.0.0/8', prefix: 24, state: 'Active' },
      ],
    },
    status: { capacity: ['9.0.0.0/8', '10.0.0.0/8'].map((cidr) => ({ cidr, ...counts })) },
  };
  bed.shown = bed.snapshot();
}
const answer = () => bed.use.reported.draining.get('dcos');
const of = (count: number, ...named: object[]) => [
  { cidr: '9.0.1.0/24', networkUID: 'u', generation: 7, count, ...(named.length > 0 && { named }) },
];
const question = () => bed.use.known({ snapshot: bed.shown!, idle: new Map(), failed: new Map() }, ask);

test('an entry that drains is used by containers that have addresses of it, and by no others', async () => {
  expect(answer()).toBeUndefined();
  drain();
  bed.attach('1', 'web-0', '9.0.1.2');
  bed.attach('2', 'web-1', '10.0.1.2');
  expect(await bed.use.look()).toEqual({ changed: true, againMs: 2_000 });
  expect(answer()).toEqual(of(1, { pod: 'default/web-0', address: '9.0.1.2' }));
  bed.detach('1');
  expect((await bed.use.look())?.changed).toBe(true);
  expect(answer()).toEqual(of(0));
  expect((await bed.use.look())?.changed).toBe(false);
  drain(8);
  expect((await bed.use.look())?.changed).toBe(true);
  expect(answer()![0]!.generation).toBe(8);
});

test('a container that got an answer with a draining entry counts as its user until its record is there', async () => {
  drain();
  bed.use.answered(ask, joined('dcos', '10.0.1.0/25'));
  await bed.use.look();
  expect(answer()).toEqual(of(0));
  bed.use.answered(ask, joined('dcos', '9.0.1.0/25'));
  await bed.use.look();
  expect(answer()).toEqual(of(1, { pod: 'default/web-2' }));
});

test('a draining entry is not counted while a container that asked earlier may still get an address of it', async () => {
  bed.shown = bed.snapshot();
  question();
  drain();
  expect(await bed.use.look()).toMatchObject({ againMs: 2_000 });
  expect(answer()).toBeUndefined();
  bed.use.answered(ask, joined('dcos', '9.0.1.0/25'));
  await bed.use.look();
  expect(answer()).toEqual(of(1, { pod: 'default/web-2' }));
  bed.use.answered(ask, { code: 102, msg: 'no' });
  question();
  await bed.use.look();
  expect(answer()).toEqual(of(0));
});

test('a draining entry is in use as long as Docker’s network is on it, and unknown before the engine has answered', async () => {
  drain();
  bed.blocks = undefined;
  await bed.use.look();
  expect(answer()).toBeUndefined();
  bed.blocks = [{ name: 'dcos', subnets: ['9.0.1.0/24'] }];
  bed.endpoints = [{ network: 'dcos', container: 'redis', addresses: ['9.0.1.130'] }];
  await bed.use.look();
  expect(answer()).toEqual(of(1, { container: 'redis', address: '9.0.1.130' }));
  bed.blocks = [{ name: 'dcos', subnets: ['10.0.1.0/24'] }];
  await bed.use.look();
  expect(answer()).toEqual(of(0));
});

test('an entry that drains may have a user in a record that cannot be read, or in one without an address', async () => {
  drain();
  bed.attach('1', 'web-0', 'fe80::2');
  await bed.use.look();
  expect(answer()).toEqual(of(1, { pod: 'default/web-0' }));
  bed.detach('1');
  writeFileSync(bed.at.path('attachments', 'bad.json'), '{');
  await bed.use.look();
  expect(answer()![0]!.count).toBe(1);
});

test('an entry that drains is answered for only after that it drains is on disk', async () => {
  drain();
  bed.recorded = undefined;
  expect(await bed.use.look()).toMatchObject({ againMs: 2_000 });
  expect(answer()).toBeUndefined();
  bed.recorded = [];
  expect((await bed.use.look())?.changed).toBe(true);
  expect(answer()).toEqual(of(0));
  await bed.use.look();
  expect(bed.recorded).toEqual([bed.shown]);
});

test('an entry that drains is not counted in the first ten seconds: the agent before may have given a container an address of it', async () => {
  drain();
  bed.use = bed.agent(performance.now() - 9_000);
  expect(await bed.use.look()).toMatchObject({ againMs: 2_000 });
  expect(answer()).toBeUndefined();
  bed.use = bed.agent(performance.now() - 10_001);
  await bed.use.look();
  expect(answer()).toEqual(of(0));
});
