import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Directories } from '../../src/host/directories.ts';
import type { AgentAllocationSpec, EffectiveConfig, NetworkSubnet } from '../../src/api/types.ts';
import type { Attachment } from '../../src/dataplane/attachment.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import type { Log } from '../../src/log.ts';

export const config: EffectiveConfig = {
  vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
  vtepMACOUI: '70:B3:D5:00:00:00',
  vni: 1024,
  port: 64000,
  underlay: 'IPv4',
  mtu: 1450,
  defaultNetwork: 'dcos',
};

export const network = (name: string, ...subnets: NetworkSubnet[]): Snapshot['networks'][number] => ({
  metadata: { name, uid: `uid-${name}` },
  spec: { subnets, enabled: true, containerizers: ['CNI', 'Docker'] },
});

export const dcos = network('dcos', { cidr: '9.0.0.0/8', prefix: 24, state: 'Active' });
export const dcos6 = network('dcos6', { cidr: 'fd01:b::/64', prefix: 80, state: 'Active' });

/** node2's allocation in the reference cluster. */
export const node2: AgentAllocationSpec = {
  revision: 3,
  nodeUID: 'u2',
  addresses: ['172.17.0.4'],
  vtep: { ip: '44.128.0.2/20', ip6: 'fd01:a::2/64', mac: '70:b3:d5:80:00:02' },
  networks: [
    {
      name: 'dcos',
      subnets: [{ cidr: '9.0.1.0/24', bridges: { cni: '9.0.1.0/25', docker: '9.0.1.128/25' } }],
    },
    {
      name: 'dcos6',
      subnets: [
        {
          cidr: 'fd01:b:0:0:1::/80',
          bridges: { cni: 'fd01:b:0:0:1::/81', docker: 'fd01:b::1:8000:0:0/81' },
        },
      ],
    },
  ],
};

/** node1's allocation in the reference cluster: without bridges. */
export const node1: AgentAllocationSpec = {
  revision: 2,
  nodeUID: 'u1',
  addresses: ['172.17.0.2'],
  vtep: { ip: '44.128.0.1/20', ip6: 'fd01:a::1/64', mac: '70:b3:d5:80:00:01' },
  networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/24' }] }],
};

export const snapshot = (changes: Partial<Snapshot> = {}): Snapshot => ({
  node: 'node2',
  config,
  networks: [dcos, dcos6],
  allocations: [
    { node: 'node1', spec: node1 },
    { node: 'node2', spec: node2 },
  ],
  ...changes,
});

/** Returns a pod's record on `dcos`, as the CNI plugin writes it. */
export const attachment = (changes: Partial<Attachment> = {}): Attachment => ({
  version: 1,
  conflist: 'overlaynet',
  containerID: 'cafe',
  ifname: 'eth0',
  netns: '/var/run/netns/x',
  namespace: 'default',
  pod: 'web-0',
  interfaces: [
    {
      network: 'dcos',
      name: 'eth0',
      host: 'c-0123456789ab',
      mac: '0a:58:09:00:01:02',
      bridge: 'm-dcos',
      addresses: ['9.0.1.2', 'fe80::858:9ff:fe00:102'],
    },
  ],
  ...changes,
});

/** Returns a log that keeps its lines: `level message fields`. */
export function recordingLog(): Log & { lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (message: string, fields?: Record<string, unknown>) => {
    const shown = Object.entries(fields ?? {}).map(([key, value]) =>
      value instanceof Error ? `${key}=${value.message}` : `${key}=${JSON.stringify(value)}`,
    );
    lines.push([level, message, ...shown].join(' '));
  };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Returns the agent's directories, all inside one directory of the test. */
export const directoriesIn = (at: Pick<ReturnType<typeof scratch>, 'path'>): Directories => ({
  stateDir: at.path('state'),
  cniConfDir: at.path('conf'),
  cniNetDir: at.path('net'),
  leaseDir: at.path('leases'),
  runDir: at.path('run'),
});

/** Makes a directory for this test; `drop` removes it. */
export function scratch(): { dir: string; path: (...parts: string[]) => string; drop: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-agent-'));
  return {
    dir,
    path: (...parts) => join(dir, ...parts),
    drop: () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Returns an entry of `spec.subnets`, with blocks of /24 or /80. */
export const subnet = (cidr: string, state: NetworkSubnet['state'] = 'Active'): NetworkSubnet => ({
  cidr,
  prefix: cidr.includes(':') ? 80 : 24,
  state,
});

/** Returns a network of an AgentAllocation from pairs of a block and the CNI half of its bridge. */
export const allocated = (name: string, ...blocks: [string, string?][]) => ({
  name,
  subnets: blocks.map(([cidr, cni]) => ({ cidr, ...(cni === undefined ? {} : { bridges: { cni } }) })),
});
