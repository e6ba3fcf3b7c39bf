import { agentEntries } from './agents.ts';
import { blockEntries, spaceEntries } from './blocks.ts';
import { paged, type Entry } from './entry.ts';
import { findingEntries } from './findings.ts';
import { networkEntries } from './networks.ts';
import type { Query } from './query.ts';
import type { Kind, Page } from './row.ts';
import type { World } from './world.ts';

/** Kinds whose rows depend on cached objects alone. For the others, agents or the API server are asked. */
type Stored = Exclude<Kind, 'containers' | 'kernel' | 'events' | 'peers'>;

const entries: Record<Stored, (world: World) => Entry<unknown>[]> = {
  networks: networkEntries,
  agents: agentEntries,
  blocks: blockEntries,
  spaces: spaceEntries,
  findings: findingEntries,
};

/** The kinds whose rows depend on cached objects alone. */
export const storedKinds = Object.keys(entries) as (keyof typeof entries)[];

export const pageOf = (kind: Stored, world: World, query: Query): Omit<Page<unknown>, 'version'> =>
  paged(kind, entries[kind](world), query);
