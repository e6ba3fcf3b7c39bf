import type { Violation } from './violation.ts';

/** Trouble in a history, beside operators that sleep, die and take turns. */
export interface Trouble {
  /** People edit and delete our objects, including the ledger. */
  hands: boolean;
  /** AgentAllocations may have foreign finalizers. */
  finalizers: boolean;
  /** People reserve VTEPs and blocks for nodes, as an import does. */
  reservations: boolean;
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
