import { join } from 'node:path';
import type {
  AgentAllocation,
  AllocationLedger,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../../../src/api/types.ts';
import { parseCheckpoint } from '../../../src/agent/checkpoint.ts';
import { networksInForce } from '../../../src/belief/snapshot.ts';
import { leasedAddresses } from '../../../src/use/leases.ts';
import { parseAttachment } from '../../../src/dataplane/attachment.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import { recorded, recordedFile, recordedFiles, versions } from '../../support/recorded.ts';
import { Cluster } from '../../support/plancluster.ts';

/** What the last versions left on disk and in the API server, read by this one (test/recorded/record.ts). */

test('at least one version is recorded', () => {
  expect(versions.length).toBeGreaterThan(0);
});

describe.each(versions)('what version %s left', (version) => {
  test('its checkpoint is read, and the data path follows from it', () => {
    const read = parseCheckpoint(recordedFile('state/checkpoint.json', version), 'node2');
    if (typeof read === 'string') throw new Error(read);
    expect(read.snapshot.networks.map(({ metadata }) => metadata.name)).toContain('dcos');
    expect(read.snapshot.allocations.map(({ node }) => node)).toEqual(['node1', 'node2', 'node3']);
    const state = desired(read.snapshot);
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

  test('an operator that takes over leaves each block where it is', () => {
    const cluster = new Cluster();
    const named = <T extends { metadata: { name: string } }>(objects: T[]): Map<string, T> =>
      new Map(objects.map((object) => [object.metadata.name, object]));
    cluster.config = recorded<OverlayConfig>('overlayconfigs', version)[0];
    cluster.networks = named(recorded<OverlayNetwork>('overlaynetworks', version));
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

  test('an agent takes the same networks into force', () => {
    const networks = recorded<OverlayNetwork>('overlaynetworks', version);
    const inForce = networksInForce(networks).map(({ metadata }) => metadata.name);
    expect(inForce).toEqual(expect.arrayContaining(['dcos', 'dcos6', 'waiting']));
    expect(inForce).not.toContain('disabled');
    expect(inForce).not.toContain('refused');
  });
});
