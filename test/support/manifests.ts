import type { Manifest } from './dryrun.ts';

type Fields = Record<string, unknown>;

export const subnet = (cidr: string, prefix: number, more: Fields = {}) => ({ cidr, prefix, ...more });

/** Returns a network that the API server accepts, changed by the given fields. */
export const network = (spec: Fields, name = 'ovt-net'): Manifest => ({
  kind: 'OverlayNetwork',
  metadata: { name },
  spec: { subnets: [subnet('9.0.0.0/8', 24)], ...spec },
});

export const config = (spec: Fields, name = 'default'): Manifest => ({
  kind: 'OverlayConfig',
  metadata: { name },
  spec,
});

export const agent = (spec: Fields, name = 'ovt-node'): Manifest => ({
  kind: 'OverlayAgent',
  metadata: { name },
  spec: { addresses: ['172.17.0.2'], uplinkMTU: 1500, ...spec },
});

export const allocation = (spec: Fields, name = 'ovt-node'): Manifest => ({
  kind: 'AgentAllocation',
  metadata: { name },
  spec: { revision: 1, nodeUID: 'c0ffee', addresses: ['172.17.0.2'], ...spec },
});

export const ledger = (name: string, spec: Fields): Manifest => ({
  kind: 'AllocationLedger',
  metadata: { name },
  spec,
});

export const page = (more: Fields = {}) => ({ space: '9.0.0.0/8', first: 256, blocks: [], ...more });

export const block = (index: number, more: Fields = {}) => ({
  index,
  node: 'node1',
  uid: 'c0ffee',
  state: 'Held',
  since: '2026-01-01T00:00:00Z',
  ...more,
});

/** Texts that would have an effect if they were passed to a shell. */
export const shellTexts = [
  '$(reboot)',
  '`reboot`',
  '; reboot',
  '| reboot',
  "'reboot'",
  '&& reboot',
  '> /reboot',
  '\nreboot',
];
