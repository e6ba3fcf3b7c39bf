import type { ObjectMeta } from './types.ts';

/** Finalizer of every OverlayNetwork: it delays the deletion according to `spec.deletionPolicy` while containers use it. */
export const inUseFinalizer = 'overlaynet.dev/in-use';

type Lifetime = Pick<ObjectMeta, 'deletionTimestamp' | 'finalizers'>;

/** Whether the network has our finalizer. */
export const isGuarded = ({ finalizers = [] }: Lifetime): boolean => finalizers.includes(inUseFinalizer);

/** Whether the network needs our finalizer: the API server takes no new one for an object that is being deleted. */
export const isBare = (metadata: Lifetime): boolean =>
  metadata.deletionTimestamp === undefined && !isGuarded(metadata);

/** Whether the network is being deleted, and stays in force until no container uses it. */
export const isWaiting = (metadata: Lifetime): boolean =>
  metadata.deletionTimestamp !== undefined && isGuarded(metadata);

/** Whether the network no longer counts: it is being deleted, and does not have our finalizer. */
export const isLeaving = (metadata: Lifetime): boolean =>
  metadata.deletionTimestamp !== undefined && !isGuarded(metadata);

/** Default of `spec.staleAfter`: how long the operator waits for a silent agent. */
export const defaultStaleAfterMs = 300_000;
