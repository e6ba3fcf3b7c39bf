import type { World } from '../rows/world.ts';
import type { Caches } from './caches.ts';

/** What an operator knows at this moment. */
export const worldOf = (caches: Caches): World => ({
  now: Date.now(),
  config: caches.configs.get('default'),
  networks: caches.networks.list(),
  reservations: caches.reservations.list(),
  nodes: caches.nodeFacts(),
  agents: caches.agents.byName,
  allocations: caches.allocations.byName,
  ledger: caches.ledgerNow(new Map()),
});
