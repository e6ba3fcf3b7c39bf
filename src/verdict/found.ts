import type { Verdict } from '../rows/probe.ts';

/** A verdict, its evidence, and the node at which the fault is mended. */
export interface Found {
  verdict: Verdict;
  evidence: string;
  at?: 'here' | 'there';
}
