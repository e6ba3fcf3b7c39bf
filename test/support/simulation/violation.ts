export const kinds = {
  overlap: 'two AgentAllocations show one block',
  unledgered: 'an AgentAllocation shows what the ledger does not have as its own',
  inUse: 'a block that an agent says is in use is free',
  backwards: 'nextPage or a revision went down',
  reserved: 'what is reserved went elsewhere, or its node got something else',
  mac: 'a VTEP changed its MAC',
  stale: 'something live was taken away by what a cache believed',
  unrest: 'at rest, things are not as they should be',
  order: 'a new node did not get the lowest free block',
  endless: 'the operators never come to rest',
} as const;

export type Kind = keyof typeof kinds;

/** A broken rule, which ends the history. */
export class Violation extends Error {
  readonly kind: Kind;
  readonly objects: unknown[];

  constructor(kind: Kind, message: string, objects: unknown[] = []) {
    super(message);
    this.kind = kind;
    this.objects = objects;
  }
}
