import type { Manifest } from './dryrun.ts';

/**
 * An object, and the messages that refuse it. The CRDs' rules and src/api/validate.ts check the same independently,
 * because an older CRD may have let an object pass.
 */
export interface ValidationCase {
  what: string;
  object: Manifest;
  /** Words in the API server's message: the field, the value, the rule. */
  crd: string[];
  /** The operator's message. */
  operator: string;
}

export const outside = 'is loopback, link-local, multicast or reserved';
export const form = 'is not of the form ADDRESS/LENGTH';
