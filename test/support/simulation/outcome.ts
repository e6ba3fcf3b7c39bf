import type { Violation } from './violation.ts';

/** Kinds of trouble that a history may have, beside operators that sleep, die and take turns. */
export interface Trouble {
  /** Objects of ours are edited and deleted by hand: the ledger, too. */
  hands: boolean;
  /** Foreign finalizers on AgentAllocations. */
  finalizers: boolean;
}

export interface Outcome {
  seed: number;
  trouble: Trouble;
  hash: string;
  steps: number;
  revisions: number;
  violation: Violation | undefined;
  /** The last steps. */
  last: string[];
}
