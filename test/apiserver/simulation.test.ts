import type {
  AgentAllocation,
  AllocationLedger,
  LedgerBlock,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../../src/api/types.ts';
import { ApiError, type Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodeMetadata,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
} from '../../src/kube/resources.ts';
import { controlPlane, type ControlPlane } from '../support/controlplane.ts';
import { crdFiles, wipe } from '../support/leader.ts';
import { MemoryClient } from '../support/simulation/client.ts';
import { OpenGate } from '../support/simulation/opengate.ts';
import {
  allocation,
  eventsAfter,
  held,
  networks,
  page,
  spaces,
  refusal,
  stamped,
} from '../support/simulation/samples.ts';
import { MemoryServer } from '../support/simulation/server.ts';

/** One suite for the API server in memory, which the simulation uses, and for the real one. */

let plane: ControlPlane | undefined;
const servers = {
  'in memory': () => {
    const server = new MemoryServer(() => Date.now());
    const gate = new OpenGate(server);
    return Promise.resolve(new MemoryClient({ server, gate, actor: 'test', error: ApiError }).asClient);
  },
  'kube-apiserver': async () => {
    plane = await controlPlane();
    await plane.apply(...crdFiles);
    return plane.client;
  },
};

describe.each(Object.entries(servers))('the API server %s', (_name, connected) => {
  let client: Client;
  beforeAll(async () => {
    client = await connected();
  });
  beforeEach(() => wipe(client));
  afterAll(async () => {
    await wipe(client);
    await plane?.stop();
    plane = undefined;
  });

  test('counts versions up, and refuses a write under an older one', async () => {
    const first = await client.create(agentAllocations, allocation('n1'));
    expect(first.metadata).toMatchObject({ name: 'n1', generation: 1, uid: expect.any(String) });
    const second = await client.update(agentAllocations, { ...first, spec: { ...first.spec, revision: 2 } });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
    expect(second.metadata).toMatchObject({ uid: first.metadata.uid, generation: 2 });
    const late = { ...first, spec: { ...first.spec, revision: 3 } };
    expect(await refusal(client.update(agentAllocations, late))).toEqual([409, 'Conflict']);
    expect((await client.get(agentAllocations, 'n1'))?.spec.revision).toBe(2);
  });

  test('makes no version of a write that changes nothing', async () => {
    const first = await client.create(agentAllocations, allocation('n1'));
    expect((await client.update(agentAllocations, first)).metadata).toEqual(first.metadata);
  });

  test('refuses a second create, a write of a missing object, and a write without a version', async () => {
    await client.create(agentAllocations, allocation('n1'));
    expect(await refusal(client.create(agentAllocations, allocation('n1')))).toEqual([409, 'AlreadyExists']);
    expect(await refusal(client.update(agentAllocations, allocation('n1')))).toEqual([422, 'Invalid']);
    const absent = allocation('n2');
    absent.metadata.resourceVersion = '1';
    expect(await refusal(client.update(agentAllocations, absent))).toEqual([404, 'NotFound']);
    expect(await client.get(agentAllocations, 'n2')).toBeUndefined();
    expect(await client.delete(agentAllocations, 'n2')).toBe(false);
  });

  test('refuses a write to an object that was deleted and created again', async () => {
    const first = await client.create(agentAllocations, allocation('n1'));
    await client.delete(agentAllocations, 'n1');
    const second = await client.create(agentAllocations, allocation('n1'));
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    const late = { ...first, spec: { ...first.spec, revision: 3 } };
    expect(await refusal(client.update(agentAllocations, late))).toEqual([409, 'Conflict']);
    const { uid = '' } = first.metadata;
    const { resourceVersion = '' } = second.metadata;
    const mixed = { ...late, metadata: { name: 'n1', uid, resourceVersion } };
    expect(await refusal(client.update(agentAllocations, mixed))).toEqual([409, 'Conflict']);
  });

  test('deletes only if the preconditions hold', async () => {
    const first = await client.create(agentAllocations, allocation('n1'));
    const { uid = '', resourceVersion = '' } = first.metadata;
    await client.update(agentAllocations, { ...first, spec: { ...first.spec, revision: 2 } });
    const gone = (given: { uid?: string; resourceVersion?: string }) =>
      client.delete(agentAllocations, 'n1', given);
    expect(await refusal(gone({ uid: 'another' }))).toEqual([409, 'Conflict']);
    expect(await refusal(gone({ uid, resourceVersion }))).toEqual([409, 'Conflict']);
    expect(await gone({ uid })).toBe(true);
    expect(await client.get(agentAllocations, 'n1')).toBeUndefined();
  });

  test('keeps a deleted object until its finalizer is removed', async () => {
    await client.create(agentAllocations, allocation('n1'));
    const finalizers = ['foreign.dev/hold'];
    const hold = { metadata: { finalizers } };
    await client.patch(agentAllocations, 'n1', hold, { type: 'merge' });
    expect(await client.delete(agentAllocations, 'n1')).toBe(true);
    const marked = await client.get(agentAllocations, 'n1');
    expect(marked?.metadata).toMatchObject({ deletionTimestamp: expect.any(String), generation: 2 });
    expect(await client.delete(agentAllocations, 'n1')).toBe(true);
    expect((await client.get(agentAllocations, 'n1'))?.metadata).toEqual(marked?.metadata);
    const changed = await client.update(agentAllocations, {
      ...marked!,
      spec: { ...marked!.spec, revision: 2 },
    });
    expect(changed.metadata.deletionTimestamp).toBe(marked?.metadata.deletionTimestamp);
    expect(await refusal(client.create(agentAllocations, allocation('n1')))).toEqual([409, 'AlreadyExists']);
    const { resourceVersion = '' } = changed.metadata;
    await client.patch(agentAllocations, 'n1', { metadata: { finalizers: null } }, { type: 'merge' });
    expect(await client.get(agentAllocations, 'n1')).toBeUndefined();
    const [event] = await eventsAfter(client, agentAllocations, resourceVersion, 1);
    expect(event?.text).toBe('DELETED n1');
  });

  test('separates status from the rest', async () => {
    const first = await client.create(overlayAgents, {
      ...stamped<OverlayAgent>(overlayAgents, {
        metadata: { name: 'n1' },
        spec: { addresses: ['172.17.0.2'], uplinkMTU: 1500 },
      }),
      status: { revision: 7 },
    });
    expect(first.status).toBeUndefined();
    const spec = { ...first.spec, uplinkMTU: 1400 };
    const said = await client.updateStatus(overlayAgents, { ...first, spec, status: { revision: 1 } });
    expect(said).toMatchObject({
      spec: { uplinkMTU: 1500 },
      status: { revision: 1 },
      metadata: { generation: 1 },
    });
    const next = await client.update(overlayAgents, { ...said, spec, status: { revision: 2 } });
    expect(next).toMatchObject({
      spec: { uplinkMTU: 1400 },
      status: { revision: 1 },
      metadata: { generation: 2 },
    });
    expect(await refusal(client.updateStatus(overlayAgents, said))).toEqual([409, 'Conflict']);
  });

  test('does not count labels as a generation, and treats a merge patch like any other write', async () => {
    const first = await client.create(agentAllocations, allocation('n1'));
    const labelled = await client.patch(
      agentAllocations,
      'n1',
      { metadata: { labels: { a: 'b' } } },
      { type: 'merge' },
    );
    expect(labelled.metadata).toMatchObject({ labels: { a: 'b' }, generation: 1 });
    const late = { metadata: { resourceVersion: first.metadata.resourceVersion }, spec: { revision: 4 } };
    expect(await refusal(client.patch(agentAllocations, 'n1', late, { type: 'merge' }))).toEqual([
      409,
      'Conflict',
    ]);
    const { spec } = await client.patch(agentAllocations, 'n1', { spec: { revision: 4 } }, { type: 'merge' });
    expect(spec).toEqual({ ...first.spec, revision: 4 });
  });

  test('lists by name, at one version, from which a watch continues in order', async () => {
    await client.create(agentAllocations, allocation('n2'));
    const first = await client.create(agentAllocations, allocation('n1'));
    const { items, resourceVersion } = await client.list(agentAllocations);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['n1', 'n2']);
    expect(Number(resourceVersion)).toBeGreaterThanOrEqual(Number(first.metadata.resourceVersion));
    const next = await client.update(agentAllocations, { ...first, spec: { ...first.spec, revision: 2 } });
    await client.create(overlayAgents, {
      ...stamped<OverlayAgent>(overlayAgents, { metadata: { name: 'n1' } }),
      spec: { addresses: ['172.17.0.2'], uplinkMTU: 1500 },
    });
    await client.delete(agentAllocations, 'n2');
    await client.create(agentAllocations, allocation('n2'));
    const events = await eventsAfter(client, agentAllocations, resourceVersion, 3);
    expect(events.map(({ text }) => text)).toEqual(['MODIFIED n1', 'DELETED n2', 'ADDED n2']);
    const versions = events.map(({ version }) => version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(versions[0]).toBe(Number(next.metadata.resourceVersion));
  });

  test('creates AgentAllocations only without blocks, and never decreases their revision', async () => {
    const { create } = { create: (object: AgentAllocation) => client.create(agentAllocations, object) };
    expect(await refusal(create(allocation('n1', { networks })))).toEqual([422, 'Invalid']);
    expect(
      await refusal(create(allocation('n1', { vtep: { ip: '44.128.0.1/20', mac: '70:b3:d5:80:00:01' } }))),
    ).toEqual([422, 'Invalid']);
    const made = await create(allocation('n1', { networks: [] }));
    const shows = await client.update(agentAllocations, {
      ...made,
      spec: { ...made.spec, networks, revision: 5 },
    });
    const lower = { ...shows, spec: { ...shows.spec, revision: 4 } };
    expect(await refusal(client.update(agentAllocations, lower))).toEqual([422, 'Invalid']);
  });

  test('creates pages only without blocks, accepts each block once and only on its page, and never moves pages', async () => {
    const name = 'net-dcos-3';
    expect(await refusal(client.create(allocationLedgers, page(name, { blocks: [held(1)] })))).toEqual([
      422,
      'Invalid',
    ]);
    const made = await client.create(allocationLedgers, page(name));
    const with_ = (blocks: LedgerBlock[]) =>
      client.update(allocationLedgers, { ...made, spec: { page: { ...made.spec.page!, blocks } } });
    expect(await refusal(with_([held(256)]))).toEqual([422, 'Invalid']);
    expect(await refusal(with_([held(1), held(1)]))).toEqual([422, 'Invalid']);
    expect((await with_([held(1)])).metadata.generation).toBe(2);
    for (const moved of [{ first: 256 }, { space: '9.1.0.0/16' }]) {
      const spec = { page: { ...made.spec.page!, ...moved } };
      const { metadata } = (await client.get(allocationLedgers, name))!;
      expect(await refusal(client.update(allocationLedgers, { ...made, metadata, spec }))).toEqual([
        422,
        'Invalid',
      ]);
    }
  });

  test('never decreases nextPage, and accepts the index only in spaces', async () => {
    const made = await client.create(allocationLedgers, spaces({ nextPage: 3 }));
    const lower = { ...made, spec: { index: { ...made.spec.index!, nextPage: 2 } } };
    expect(await refusal(client.update(allocationLedgers, lower))).toEqual([422, 'Invalid']);
    const both = { ...made, spec: { ...made.spec, ...page('x').spec } };
    expect(await refusal(client.update(allocationLedgers, both))).toEqual([422, 'Invalid']);
    const other = stamped<AllocationLedger>(allocationLedgers, {
      metadata: { name: 'net-dcos-1' },
      spec: made.spec,
    });
    expect(await refusal(client.create(allocationLedgers, other))).toEqual([422, 'Invalid']);
  });

  test('adds defaults to an OverlayConfig', async () => {
    const given = { metadata: { name: 'default' }, spec: { reuseCooldown: '1s' } };
    const made = await client.create(overlayConfigs, stamped<OverlayConfig>(overlayConfigs, given));
    expect(made.spec).toEqual({
      vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
      vtepMACOUI: '70:B3:D5:00:00:00',
      vni: 1024,
      port: 64000,
      underlay: 'IPv4',
      defaultNetwork: 'dcos',
      reuseCooldown: '1s',
    });
  });

  test('stores the simulation’s networks, and Nodes, whose metadata can be read alone', async () => {
    const spec: OverlayNetwork['spec'] = {
      subnets: [{ cidr: '9.0.0.0/24', prefix: 28, state: 'Active' }],
      enabled: true,
      containerizers: ['CNI', 'Docker'],
      nodeSelector: { matchLabels: { on: 'yes' } },
    };
    const made = await client.create(
      overlayNetworks,
      stamped(overlayNetworks, { metadata: { name: 'a' }, spec }),
    );
    expect(made.spec).toEqual(spec);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', labels: { on: 'yes' } } };
    const status = { addresses: [{ type: 'InternalIP', address: '172.17.0.2' }] };
    await client.create(nodes, { ...node, status });
    expect((await client.get(nodes, 'n1'))?.status?.addresses).toEqual(status.addresses);
    const { items } = await client.list(nodeMetadata);
    expect(items.map(({ metadata }) => metadata.labels?.on)).toEqual(['yes']);
    expect(items[0]).not.toHaveProperty('status');
    const before = items[0]!.metadata.resourceVersion!;
    const labelled = await client.patch(
      nodes,
      'n1',
      { metadata: { labels: { on: 'no' } } },
      { type: 'merge' },
    );
    expect(Number(labelled.metadata.resourceVersion)).toBeGreaterThan(Number(before));
  });
});
