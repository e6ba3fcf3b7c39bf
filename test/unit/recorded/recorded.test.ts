import { join } from 'node:path';
import type {
  AgentAllocation,
  AllocationLedger,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
  OverlayReservation,
} from '../../../src/api/types.ts';
import { parseCheckpoint } from '../../../src/agent/checkpoint.ts';
import { networksInForce } from '../../../src/belief/snapshot.ts';
import { leasedAddresses } from '../../../src/use/leases.ts';
import { parseAttachment } from '../../../src/dataplane/attachment.ts';
import { judgeDeletion } from '../../../src/allocate/deleting.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import { Docker } from '../../../src/docker/docker.ts';
import { Engine } from '../../../src/docker/engine.ts';
import type { DockerNetwork } from '../../../src/docker/networks.ts';
import { silent } from '../../../src/log.ts';
import { FakeEngine } from '../../support/fakeengine.ts';
import type { Snapshot } from '../../../src/dataplane/snapshot.ts';
import { recorded, recordedFile, recordedFiles, versions } from '../../support/recorded.ts';
import { Cluster } from '../../support/plancluster.ts';

/** This version reads what the last versions left on disk and in the API server (test/recorded/record.ts). */

const dockerNetworks = 'docker/networks.json';
const hadDocker = versions.filter((version) => recordedFiles('.', version).includes(dockerNetworks));

test('at least one version is recorded, and one had a Docker engine', () => {
  expect(versions.length).toBeGreaterThan(0);
  expect(hadDocker.length).toBeGreaterThan(0);
});

/** Returns the containers that a version's agents named for networks that are being deleted. */
const usersOf = (version: string) =>
  recorded<OverlayAgent>('overlayagents', version).flatMap(({ status }) =>
    (status?.networks ?? []).flatMap(({ name: network, users }) =>
      (users?.named ?? []).map(({ container, address }) => ({ network, container, address })),
    ),
  );

/** Returns the snapshot in a version's checkpoint. */
function snapshotOf(version: string): Snapshot {
  const read = parseCheckpoint(recordedFile('state/checkpoint.json', version), 'node2');
  if (typeof read === 'string') throw new Error(read);
  return read.snapshot;
}

/** Returns the cluster that a version left, for an operator that takes over. */
function clusterOf(version: string): Cluster {
  const cluster = new Cluster();
  const named = <T extends { metadata: { name: string } }>(objects: T[]): Map<string, T> =>
    new Map(objects.map((object) => [object.metadata.name, object]));
  cluster.config = recorded<OverlayConfig>('overlayconfigs', version)[0];
  cluster.networks = named(recorded<OverlayNetwork>('overlaynetworks', version));
  if (recordedFiles('.', version).includes('overlayreservations.json'))
    cluster.reservations = named(recorded<OverlayReservation>('overlayreservations', version));
  cluster.agents = named(recorded<OverlayAgent>('overlayagents', version));
  cluster.allocations = named(recorded<AgentAllocation>('agentallocations', version));
  cluster.ledger = named(recorded<AllocationLedger>('allocationledgers', version));
  const index = cluster.ledger.get('spaces')!.spec.index!;
  cluster.networksKind = { uid: index.networksCRD!, goes: false };
  cluster.now = Date.parse(cluster.agents.get('node2')!.metadata.creationTimestamp!) + 60_000;
  for (const [name, { spec }] of cluster.allocations) {
    const labels = name === 'node1' ? { 'overlaynet.dev/bridges': 'false' } : {};
    const hostname = { 'kubernetes.io/hostname': name };
    const creationTimestamp = cluster.agents.get(name)!.metadata.creationTimestamp!;
    cluster.nodes.set(name, {
      name,
      uid: spec.nodeUID,
      labels: { ...labels, ...hostname },
      creationTimestamp,
    });
    cluster.stated.set(name, spec.addresses);
  }
  // what it counts from is later than all that is recorded
  cluster.continueFrom(10_000_000);
  return cluster;
}

describe.each(hadDocker)('what version %s left in a Docker engine', (version) => {
  const networks = () => JSON.parse(recordedFile(dockerNetworks, version)) as DockerNetwork[];
  let fake: FakeEngine;
  let docker: Docker;
  beforeEach(() => {
    fake = new FakeEngine();
    fake.networks.push(...networks());
    docker = new Docker({ engine: new Engine(fake.socket), links: fake.links, log: silent });
    for (const { container = '', address = '', network } of usersOf(version))
      if (!container.startsWith('cnitool'))
        fake.containers.set(container, { network, running: true, address });
  });
  afterEach(() => fake.drop());

  test('its networks stay as they are, and so do the blocks of its containers', async () => {
    await fake.up();
    await docker.reconcile(snapshotOf(version));
    expect(docker.failures).toEqual([]);
    expect(fake.networks).toEqual(networks());
    expect(docker.blocks).toEqual(snapshotOf(version).docker);
    expect(await docker.endpoints()).toEqual([
      { network: 'dcos', container: 'web', addresses: ['9.0.1.130'] },
    ]);
  });

  test('its blocks count as used while the engine is away', async () => {
    await docker.reconcile(snapshotOf(version));
    expect(docker.blocks).toEqual(expect.arrayContaining([{ name: 'dcos', subnets: ['9.0.1.0/24'] }]));
  });
});

describe.each(versions)('what version %s left', (version) => {
  test('its checkpoint is read, and the data path follows from it', () => {
    const snapshot = snapshotOf(version);
    expect(snapshot.networks.map(({ metadata }) => metadata.name)).toContain('dcos');
    expect(snapshot.allocations.map(({ node }) => node)).toEqual(['node1', 'node2', 'node3']);
    const state = desired(snapshot);
    expect([...(state?.links.keys() ?? [])]).toEqual(
      expect.arrayContaining(['vtep1024', 'm-dcos', 'm-dcos6', 'm-waiting']),
    );
  });

  test('each record of the CNI plugin is read, and its address is leased', () => {
    const files = recordedFiles('state/attachments', version).filter((file) => file.endsWith('.json'));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const read = parseAttachment(recordedFile(file, version));
      if (typeof read === 'string') throw new Error(`${file}: ${read}`);
      const leases = join(import.meta.dirname, '..', '..', 'recorded', version, 'leases');
      for (const { network, addresses } of read.interfaces) {
        expect(addresses.length).toBeGreaterThan(0);
        expect(leasedAddresses(leases, network)).toEqual(
          expect.arrayContaining(addresses.filter((address) => !address.startsWith('fe80:'))),
        );
      }
    }
  });

  test('an operator that takes over moves no block', () => {
    const cluster = clusterOf(version);
    const before = [...cluster.allocations].map(([name, { spec }]) => [name, spec.vtep, spec.networks]);
    const held = cluster.blocks();
    expect(held.length).toBeGreaterThan(6);
    cluster.settle();
    expect([...cluster.allocations].map(([name, { spec }]) => [name, spec.vtep, spec.networks])).toEqual(
      before,
    );
    expect(cluster.blocks()).toEqual(held);
    expect(cluster.condition('dcos6', 'Accepted').status).toBe('True');
  });

  test('a network that was being deleted stays for the containers that agents named', () => {
    const cluster = clusterOf(version);
    cluster.settle();
    const heard = { deletionSeen: cluster.now, answered: () => undefined };
    const verdict = judgeDeletion(cluster.networks.get('dcos')!, cluster.view(), cluster.last, heard);
    expect(verdict).toMatchObject({ finalizer: undefined, finding: { status: 'True', reason: 'InUse' } });
    const named = usersOf(version).map(({ container, address }) => `${container} (node2, ${address})`);
    expect(named.length).toBeGreaterThan(0);
    for (const text of named) expect(verdict.finding?.message).toContain(`container ${text}`);
  });

  test('an agent takes the same networks into force', () => {
    const networks = recorded<OverlayNetwork>('overlaynetworks', version);
    const inForce = networksInForce(networks).map(({ metadata }) => metadata.name);
    expect(inForce).toEqual(expect.arrayContaining(['dcos', 'dcos6', 'waiting']));
    expect(inForce).not.toContain('disabled');
    expect(inForce).not.toContain('refused');
  });
});
