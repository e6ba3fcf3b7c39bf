/**
 * The six kinds of `overlaynet.dev/v1alpha1`, all cluster-scoped, as the API server stores them; each has a file in kinds/.
 * The CRDs in crds/ are the schema that users read; test/unit/api/crds.test.ts holds the two together.
 * Address text is RFC 5952; a `cidr` has no host bits set; times are RFC 3339.
 */

export * from './kinds/meta.ts';
export type * from './kinds/overlayconfig.ts';
export type * from './kinds/overlaynetwork.ts';
export type * from './kinds/overlayagent.ts';
export type * from './kinds/agentallocation.ts';
export type * from './kinds/allocationledger.ts';
export type * from './kinds/overlayreservation.ts';
