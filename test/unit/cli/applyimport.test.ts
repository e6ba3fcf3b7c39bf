import type { KubeObject } from '../../../src/api/types.ts';
import type { Access } from '../../../src/cli/access.ts';
import { applyImport } from '../../../src/cli/applyimport.ts';
import type { Output } from '../../../src/cli/output.ts';
import type { Objects } from '../../../src/import/objects.ts';
import { toReservations } from '../../../src/import/reservations.ts';
import { ApiError } from '../../../src/kube/client.ts';
import type { Resource } from '../../../src/kube/resources.ts';

type Judged = KubeObject & { spec: Record<string, unknown>; status?: unknown };

const objects = {
  config: {
    metadata: { name: 'default' },
    spec: { vtepSubnets: ['44.128.0.0/20'], vtepMACOUI: '70:B3:D5:00:00:00' },
  },
  networks: ['there', 'half', 'new'].map((name, at) => ({
    metadata: { name },
    spec: { enabled: true, subnets: [{ cidr: `10.${at}.0.0/16`, prefix: 24 }] },
  })),
} as unknown as Objects;
const agent = { address: '172.17.0.2', networks: [{ name: 'new', subnets: ['10.2.0.0/24'] }], bare: false };
const reservations = toReservations([agent], new Map());

/** Simulates the operator's statuses of each kind. */
function operator(said: Record<string, [status: string, reason: string]> = {}) {
  const stored = new Map<string, Judged>();
  const writes: string[] = [];
  const key = ({ plural }: Resource<KubeObject>, name: string) => `${plural}/${name}`;
  const conditions = (name: string) =>
    ['Accepted', 'Reserved'].map((type) => {
      const [status, reason] = said[`${name} ${type}`] ?? ['True', type];
      return { type, status, reason, message: `${name}: ${reason}`, observedGeneration: 1 };
    });
  const client = {
    get: (kind: Resource<KubeObject>, name: string) => Promise.resolve(stored.get(key(kind, name))),
    list: (kind: Resource<KubeObject>) =>
      Promise.resolve({
        items: [...stored].flatMap(([at, one]) => (at.startsWith(`${kind.plural}/`) ? [one] : [])),
      }),
    apply: (kind: Resource<KubeObject>, one: Judged) => {
      const { name } = one.metadata;
      const enabled = one.spec.enabled === undefined ? '' : ` ${one.spec.enabled === true ? 'on' : 'off'}`;
      writes.push(`${name}${enabled}`);
      if (said[`${name} refused`] !== undefined)
        return Promise.reject(new ApiError('apply', 403, { reason: 'Forbidden', message: 'you may not' }));
      const object = { ...one, metadata: { name, generation: 1 }, status: { conditions: conditions(name) } };
      stored.set(key(kind, name), object);
      return Promise.resolve(object);
    },
    delete: (_kind: unknown, name: string) => {
      writes.push(`without ${name}`);
      return Promise.resolve(true);
    },
  };
  const notes: string[] = [];
  const out = {
    note: (text: string) => notes.push(text),
    warn: (text: string) => notes.push(text),
    ended: new AbortController().signal,
    pause: () => Promise.resolve(),
    atEnd: () => () => undefined,
  } as unknown as Output;
  const access = { api: (work: (one: unknown) => unknown) => work(client) } as unknown as Access;
  for (const [name, enabled] of [
    ['there', true],
    ['half', false],
  ] as const)
    stored.set(`overlaynetworks/${name}`, { metadata: { name }, spec: { enabled } });
  return { writes, notes, run: () => applyImport({ objects, reservations, bare: [] }, access, out) };
}

test('an import first keeps others out, and enables new networks once everything is reserved', async () => {
  const { writes, run } = operator();
  expect(await run()).toBe(0);
  expect(writes).toEqual([
    ...['import', 'default', 'agent-172-17-0-2'],
    ...['there on', 'half off', 'new off'],
    ...['there on', 'half on', 'new on'],
    'without import',
  ]);
});

test('after a refusal the networks stay disabled, and others are admitted again', async () => {
  const { writes, notes, run } = operator({
    'agent-172-17-0-2 Accepted': ['False', 'Held'],
    'agent-172-17-0-2 Reserved': ['False', 'Held'],
  });
  expect(await run()).toBe(1);
  expect(writes.slice(-3)).toEqual(['half off', 'new off', 'without import']);
  expect(notes).toContain('not kept: agent 172.17.0.2: agent-172-17-0-2: Held');
});

test('an import writes nothing more if the operator’s hour is over already and it admits others', async () => {
  const { writes, run } = operator({ 'import Accepted': ['False', 'Expired'] });
  await expect(run()).rejects.toMatchObject({
    message: 'others cannot be kept out: import: Expired',
    next: 'the operator’s clock is an hour ahead of this machine’s: set both',
  });
  expect(writes).toEqual(['import', 'without import']);
});

test('a user without the rights is told which ones an import needs', async () => {
  const { writes, run } = operator({ 'default refused': ['', ''] });
  await expect(run()).rejects.toMatchObject({
    message: expect.stringMatching(/^you lack a right: .*you may not/) as string,
    next: 'an import needs the ClusterRole admin for the whole cluster, and the right to label Nodes',
  });
  expect(writes.at(-1)).toBe('without import');
});
