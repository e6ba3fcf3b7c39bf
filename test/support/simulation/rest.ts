import type { AgentAllocation, AllocationLedger, OverlayNetwork } from '../../../src/api/types.ts';
import { selects } from '../../../src/api/selector.ts';
import { claimsOf, overlap, rangeOf, shownBy } from './claims.ts';
import type { MemoryServer, Stored } from './server.ts';
import { Violation } from './violation.ts';

const sorted = (texts: readonly string[]): string => [...texts].sort().join(' ');

/** Returns the networks' entries of which a node should have a block, and those of which it may keep one. */
function entries(server: MemoryServer, node: Stored) {
  const networks = server.list('overlaynetworks') as unknown as OverlayNetwork[];
  return networks
    .filter(({ spec }) => spec.enabled && selects(spec.nodeSelector, node.metadata.labels ?? {}))
    .flatMap(({ spec }) => spec.subnets);
}

/** Checks a cluster at rest, after every cooldown: every node has its blocks, and nothing else is in use. */
export function checkRest(server: MemoryServer, hands: boolean): void {
  const unrest = (message: string, ...objects: unknown[]) => {
    const all = [
      ...server.list('allocationledgers'),
      ...server.list('overlaynetworks'),
      ...server.list('nodes'),
    ];
    throw new Violation('unrest', message, [...objects, ...all]);
  };
  const claims = claimsOf(server);
  for (const { metadata } of [...server.list('agentallocations'), ...server.list('overlayagents')]) {
    if (server.get('nodes', metadata.name) === undefined) unrest(`objects of ${metadata.name} are left`);
  }
  for (const node of server.list('nodes')) {
    const { name } = node.metadata;
    const allocation = server.get('agentallocations', name) as unknown as AgentAllocation | undefined;
    if (allocation?.spec.vtep?.ip === undefined) return unrest(`${name} has no VTEP`, allocation);
    const shown = shownBy(allocation);
    const blocks = shown.filter((text) => !text.startsWith('44.'));
    const wanted = entries(server, node);
    for (const { cidr, prefix, state } of wanted) {
      const own = blocks.filter(
        (text) => overlap(rangeOf(text), rangeOf(cidr)) && text.endsWith(`/${prefix}`),
      );
      if (own.length > 1 || (own.length === 0 && state === 'Active')) {
        unrest(`${name} has ${own.length} blocks of ${cidr}`, allocation);
      }
    }
    const stray = blocks.find((text) => !wanted.some(({ cidr }) => overlap(rangeOf(text), rangeOf(cidr))));
    if (stray !== undefined) unrest(`${name} has ${stray}, which it should not`, allocation);
    const held = claims
      .filter((claim) => claim.node === name && claim.state === 'Held')
      .map(({ text }) => text);
    if (sorted(held) !== sorted(shown))
      unrest(`${name} shows ${sorted(shown)} and holds ${sorted(held)}`, allocation);
  }
  const reserved = claims.find(({ state, node, reservation, uid }) =>
    state === 'Reserved'
      ? server.get('overlayreservations', reservation ?? '')?.metadata.uid !== uid
      : state !== 'Held' || server.get('nodes', node) === undefined,
  );
  if (reserved !== undefined && !hands)
    unrest(`${reserved.text} is ${reserved.state} by ${reserved.node}`, reserved);
}

/** Returns the lowest free block's index of each space, as text. */
export function lowestFree(server: MemoryServer): Map<string, number> {
  const taken = Map.groupBy(claimsOf(server), ({ space }) => space.cidr);
  return new Map(
    [...taken].map(([cidr, claims]) => {
      const indexes = new Set(claims.map(({ index }) => index));
      let lowest = 0;
      while (indexes.has(lowest)) lowest++;
      return [cidr, lowest];
    }),
  );
}

/** Checks that a node that joined at rest has the lowest free block of each space. */
export function checkOrder(server: MemoryServer, node: string, lowest: Map<string, number>): void {
  for (const claim of claimsOf(server)) {
    const expected = lowest.get(claim.space.cidr);
    if (claim.node !== node || expected === undefined || claim.index === expected) continue;
    const message = `${node} got ${claim.space.cidr} ${claim.index}, and ${expected} was free`;
    throw new Violation('order', message, [claim]);
  }
}

/** Returns the annotations by which a person confirms deletions that the operator does not believe. */
export function confirmations(server: MemoryServer): Record<string, string> {
  const ledger = server.get('allocationledgers', 'spaces') as AllocationLedger | undefined;
  const { restored, departures } = ledger?.spec.index ?? {};
  return {
    ...(restored === undefined ? {} : { 'overlaynet.dev/confirm-restore': restored.id }),
    ...(departures === undefined ? {} : { 'overlaynet.dev/confirm-departures': departures.id }),
  };
}
